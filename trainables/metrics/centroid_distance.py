"""Distance of reconstructions to the middle of their identity's private images, in a judge's features."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.metrics.base import Evidence, Metric


def centroid_distance(
    fake_features: Tensor, fake_labels: Tensor, real_features: Tensor, real_labels: Tensor, *, squared: bool
) -> float:
    """Return the mean over fakes of the L2 distance to the mean of the real features of the same label.

    Shapes as in `knn_distance`; in float64. squared: take the square of each distance.
    Raises ValueError if a fake's label has no real image.
    """
    labels, place = torch.unique(fake_labels, return_inverse=True)
    centroids = []
    for label in labels:
        real = real_features[real_labels == label].double()
        if len(real) == 0:
            raise ValueError(f"expected a real image of every fake's label, got none of {int(label)}")
        centroids.append(real.mean(0))
    squares = (fake_features.double() - torch.stack(centroids)[place]).square().sum(1)
    return (squares if squared else squares.sqrt()).mean().item()


@dataclass(frozen=True, kw_only=True)
class CentroidDistance(Metric):
    """Measures the distance to the mean of the private training features of the identity.

    MIRROR's figure. Its paper does not say whether it squares.

    squared: take squared distances, as the feature distance of KEDMI's code.
    """

    kind = "centroid_distance"
    summary = "distance of a reconstruction to the mean of its identity's private training images"
    source = "An et al., NDSS 2022 (MIRROR)"
    direction = "maximize"
    low = 0.0
    high = None
    unit = "distance"
    short_label = "centroid distance"
    explanation = "of reconstructions to the mean of the private training images, in the judge's features"
    objective = False  # not every trial measures it
    beside_verdict = True
    optional = True

    squared: bool = False

    def measure(self, evidence: Evidence) -> float:
        """Return the figure."""
        return centroid_distance(
            evidence.features.flatten(0, 1),
            evidence.identities.repeat(len(evidence.features)),
            evidence.private_features,
            evidence.private_labels,
            squared=self.squared,
        )
