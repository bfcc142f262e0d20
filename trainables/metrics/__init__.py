"""Metrics of reconstructions. Add one: a file here, a line below."""

from trainables.metrics.attack_accuracy import AttackAccuracyStd, AttackAccuracyTop1, AttackAccuracyTop5
from trainables.metrics.base import Metric
from trainables.metrics.centroid_distance import CentroidDistance
from trainables.metrics.chance import Chance
from trainables.metrics.face_distance import FaceDistance
from trainables.metrics.fid import FID, FIDImages
from trainables.metrics.knn_distance import KNNDistance
from trainables.metrics.lpips import LPIPS
from trainables.metrics.prdc import Coverage, Density, Precision, Recall
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
    "centroid_distance": CentroidDistance,
    "face_distance": FaceDistance,
    "fid": FID,
    "fid_images": FIDImages,
    "lpips": LPIPS,
    "prdc_precision": Precision,
    "prdc_recall": Recall,
    "prdc_density": Density,
    "prdc_coverage": Coverage,
}

# Names under which a trial asks for several at once.
GROUPS: dict[str, tuple[str, ...]] = {
    "fid": ("fid", "fid_images"),
    "prdc": ("prdc_precision", "prdc_recall", "prdc_density", "prdc_coverage"),
}
