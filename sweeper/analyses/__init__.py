"""Analyses that compare sets of trials, each by a study of its own. Add one: a file here, a line below."""

from sweeper.analyses.accuracy_control import AccuracyControl
from sweeper.analyses.base import StudyAnalysis
from sweeper.analyses.defenses import Defenses
from sweeper.analyses.frozen_batchnorm import FrozenBatchnorm
from sweeper.analyses.layer_roles import LayerRoles
from sweeper.analyses.pretraining import PretrainingDistance
from sweeper.analyses.threat_models import ThreatModels

STUDY_ANALYSES: dict[str, type[StudyAnalysis]] = {
    "accuracy_control": AccuracyControl,
    "defenses": Defenses,
    "frozen_batchnorm": FrozenBatchnorm,
    "layer_roles": LayerRoles,
    "pretraining": PretrainingDistance,
    "threat_models": ThreatModels,
}
