"""Metrics of reconstructions. Add one: a file here, a line below."""

from trainables.metrics.attack_accuracy import AttackAccuracyStd, AttackAccuracyTop1, AttackAccuracyTop5
from trainables.metrics.base import Metric
from trainables.metrics.chance import Chance
from trainables.metrics.knn_distance import KNNDistance
from trainables.metrics.target_confidence import TargetConfidence
from trainables.metrics.verified_accuracy import AttackAccuracyVerified

METRICS: dict[str, type[Metric]] = {
    "attack_accuracy_top1": AttackAccuracyTop1,
    "attack_accuracy_verified": AttackAccuracyVerified,
    "attack_accuracy_top5": AttackAccuracyTop5,
    "attack_accuracy_std": AttackAccuracyStd,
    "knn_distance": KNNDistance,
    "target_confidence": TargetConfidence,
    "chance": Chance,
}
