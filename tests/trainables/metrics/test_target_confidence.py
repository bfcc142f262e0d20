"""The target's confidence in whom each reconstruction attacks, the only numbers that are there."""

import math

import pytest
import torch

from trainables.metrics.base import Evidence
from trainables.metrics.target_confidence import TargetConfidence


def measured(own: list[list[float]], identities: list[int], classes: int) -> float:
    """Return the figure where the target has confidence own[r][n] in identities[n], and NaN in all others."""
    confidences = torch.full((len(own), len(identities), classes), math.nan)
    for restart, row in enumerate(own):
        for position, (identity, confidence) in enumerate(zip(identities, row, strict=True)):
            confidences[restart, position, identity] = confidence
    nothing = torch.full((len(own), len(identities), classes), math.nan)
    return TargetConfidence().measure(
        Evidence(
            reconstructions=torch.zeros(len(own), len(identities), 3, 2, 2, dtype=torch.uint8),
            identities=torch.tensor(identities),
            logits=nothing,
            features=nothing,
            confidences=confidences,
            private_features=torch.full((classes, 1), math.nan),
            private_labels=torch.arange(classes),
        )
    )


@pytest.mark.parametrize(
    ("own", "identities", "mean"),
    [
        ([[0.1, 0.2], [0.3, 0.5], [0.4, 0.9]], [3, 1], 0.4),
        ([[0.1, 0.2, 0.9]], [4, 0, 2], 0.4),
        ([[0.25], [0.75]], [2], 0.5),
        ([[1.0, 0.5, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0]], [2, 2, 0, 4], 0.25),
    ],
)
def test_it_is_the_mean_over_people_and_restarts_of_the_confidence_in_the_one_attacked(own, identities, mean):
    assert measured(own, identities, classes=5) == pytest.approx(mean)


def test_no_study_searches_for_what_an_attack_climbs_whoever_it_shows():
    assert not TargetConfidence.objective
    assert TargetConfidence.direction == "minimize"  # a target that is less sure gives less away
