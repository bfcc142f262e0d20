"""Analyses of finished attacks and of ways of training. Add one: a file here, a line below."""

from trainables.analyses.base import Analysis, TrainingAnalysis
from trainables.analyses.batch_norm import BatchNorm
from trainables.analyses.cost import Cost
from trainables.analyses.evaluator_confidence import EvaluatorConfidence
from trainables.analyses.false_positives import FalsePositives
from trainables.analyses.judges import Judges
from trainables.analyses.layers import Layers
from trainables.analyses.membership import Membership

ANALYSES: dict[str, type[Analysis] | type[TrainingAnalysis]] = {
    "batch_norm": BatchNorm,
    "cost": Cost,
    "evaluator_confidence": EvaluatorConfidence,
    "false_positives": FalsePositives,
    "judges": Judges,
    "layers": Layers,
    "membership": Membership,
}
