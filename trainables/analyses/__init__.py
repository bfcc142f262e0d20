"""Analyses of a finished attack beyond its metrics. Add one: a file here, a line below."""

from trainables.analyses.base import Analysis
from trainables.analyses.evaluator_confidence import EvaluatorConfidence

ANALYSES: dict[str, type[Analysis]] = {
    "evaluator_confidence": EvaluatorConfidence,
}
