"""Verification: is this image of this person? Scores of a judge, their threshold, and how well they tell.

The score of an image for a person is the cosine, in the judge's features, between the image and the mean of
the person's training images (their references). It is the same for every judge: for an embedder it is what
it decides by, for a classifier it asks more than the first choice does. Pure functions of tensors.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

FALSE_ACCEPTANCE = 1e-3  # share of impostor pairs that the threshold lets through, where that many are there


def references(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the unit mean of each person's unit features, float64 (K, F); features (M, F), labels (M,)."""
    units = functional.normalize(features.double())
    sums = torch.zeros(classes, units.shape[1], dtype=torch.float64).index_add_(0, labels, units)
    return functional.normalize(sums)


def scores(features: Tensor, people: Tensor) -> Tensor:
    """Return the cosine of features (..., F) to each of the references `people` (K, F): float64 (..., K)."""
    return functional.normalize(features.double(), dim=-1) @ people.T


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A score above which an image counts as the person's.

    Attributes:
        score: the threshold; an image is accepted above it, not at it.
        false_acceptance: share of impostor pairs that it stands for: one in a thousand, or one of all pairs
            where there are fewer than a thousand, since so few cannot carry a smaller share.
    """

    score: float
    false_acceptance: float


def threshold(impostor: Tensor, share: float = FALSE_ACCEPTANCE) -> Threshold:
    """Return the lowest score of `impostor` (P,), P >= 1, above which at most `share` of them lie."""
    pairs = len(impostor)
    above = int(share * pairs + 1e-9)
    score = impostor.double().sort(descending=True).values[above].item()
    return Threshold(score=score, false_acceptance=max(share, 1 / pairs))


def equal_error_rate(genuine: Tensor, impostor: Tensor) -> float:
    """Return the error where as large a share of genuine pairs (G,) is refused as of impostor pairs (P,) is
    accepted: the mean of both shares at the threshold where they are nearest, in [0, 1]."""
    own, others = genuine.double().sort().values, impostor.double().sort().values
    cuts = torch.unique(torch.cat((own, others)))
    refused = torch.searchsorted(own, cuts).double() / len(own)  # genuine below the cut
    accepted = 1 - torch.searchsorted(others, cuts).double() / len(others)  # impostors at or above it
    nearest = int((refused - accepted).abs().argmin())
    return ((refused[nearest] + accepted[nearest]) / 2).item()


def measured(test_scores: Tensor, labels: Tensor) -> dict[str, Any]:
    """Return how well a judge verifies people, JSON-ready, from reference pairs of images it did not learn.

    test_scores (T, K): of T private test images for each person; labels (T,). A genuine pair is an image and
    its own person, an impostor pair an image and any other person.

    ``threshold`` and ``false_acceptance``: see `Threshold`. ``true_acceptance``: share of genuine pairs above
    it. ``equal_error_rate``. ``genuine_p5``: the 5th percentile of genuine scores. ``pairs``: how many of
    both kinds. ``per_identity``: for each person the share of both kinds above the threshold, None without a
    pair of the kind: where the data set reserves the test images, some people may have none.
    """
    own = functional.one_hot(labels, test_scores.shape[1]).bool()
    genuine, impostor = test_scores[own], test_scores[~own]
    limit = threshold(impostor)
    accepted = test_scores > limit.score
    images = own.sum(0)
    return {
        "threshold": limit.score,
        "false_acceptance": limit.false_acceptance,
        "true_acceptance": (genuine > limit.score).double().mean().item(),
        "equal_error_rate": equal_error_rate(genuine, impostor),
        "genuine_p5": torch.quantile(genuine, 0.05).item(),
        "pairs": {"genuine": len(genuine), "impostor": len(impostor)},
        "per_identity": {
            "genuine": _shares((accepted & own).sum(0), images),
            "impostor": _shares((accepted & ~own).sum(0), len(labels) - images),
        },
    }


def _shares(above: Tensor, pairs: Tensor) -> list[float | None]:
    """Return ``above / pairs``, both (K,), None where there is no pair: NaN is no JSON."""
    shares = (above / pairs).tolist()
    return [share if count else None for share, count in zip(shares, pairs.tolist(), strict=True)]
