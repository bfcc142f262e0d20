"""KNN distance: of reconstructions to the nearest private image of their identity, in a judge's features."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.metrics.base import Evidence, Metric


def knn_distance(
    fake_features: Tensor, fake_labels: Tensor, real_features: Tensor, real_labels: Tensor
) -> float:
    """Return the mean over fakes of the least squared L2 distance to a real image of the same label.

    fake_features (n, F), fake_labels (n,); real_features (m, F), real_labels (m,), the private training
    images. At least 0, higher is better for the defender; its scale is that of the features, so compare only
    figures of one judge. Raises ValueError if a fake's label has no real image.
    Computed as published with KEDMI (Chen et al. 2021), in float64.
    """
    nearest = []
    for label in torch.unique(fake_labels):
        real = real_features[real_labels == label].double()
        if len(real) == 0:
            raise ValueError(f"expected a real image of every fake's label, got none of {int(label)}")
        fake = fake_features[fake_labels == label].double()
        distance = torch.cdist(fake, real, compute_mode="donot_use_mm_for_euclid_dist")
        nearest.append(distance.square().min(1).values)
    return torch.cat(nearest).mean().item()


@dataclass(frozen=True, kw_only=True)
class KNNDistance(Metric):
    """Measures the squared distance of a reconstruction to the nearest private training image.

    PPA's delta_eval is this figure under its own judge: Inception-v3 at 299 pixels.
    """

    kind = "knn_distance"
    summary = "squared distance of a reconstruction to the nearest private training image"
    source = "Chen et al. 2021"
    direction = "maximize"
    low = 0.0
    high = None
    unit = "squared distance"
    short_label = "KNN distance"
    explanation = "of reconstructions to the nearest private training image, in the judge's features"

    def measure(self, evidence: Evidence) -> float:
        """Return the figure."""
        labels = evidence.identities.repeat(len(evidence.features))
        features = evidence.features.flatten(0, 1)
        return knn_distance(features, labels, evidence.private_features, evidence.private_labels)
