"""Judges: who decides whether a reconstruction shows the identity. Add one: a file here, a line below."""

from trainables.judges.base import Judge
from trainables.judges.classifier import ClassifierJudge
from trainables.judges.embedder import EmbedderJudge
from trainables.judges.onnx import ONNXJudge

JUDGES: dict[str, type[Judge]] = {
    "classifier": ClassifierJudge,
    "embedder": EmbedderJudge,
    "onnx": ONNXJudge,
}
