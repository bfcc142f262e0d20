"""Precision, recall, density and coverage: how reconstructions and private images lie among each other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.metrics.base import Evidence, Metric, Skipped


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """Figures of a set of fakes among reals; each is None where it needs more images than there are.

    precision: share of fakes within the k-ball of any real. recall: share of reals within the k-ball of any
    fake. density: mean over fakes of the k-balls of reals that each lies in, over k. coverage: share of reals
    with a fake in their k-ball. A k-ball reaches to the k-th nearest other point of its own set.
    """

    precision: float | None
    recall: float | None
    density: float | None
    coverage: float | None


def neighbourhood(fake: Tensor, real: Tensor, neighbours: int) -> Neighbourhood:
    """Return the figures of features fake (n, F) among real (m, F), in float64.

    Precision and recall of Kynkäänniemi et al., NeurIPS 2019; density and coverage of Naeem et al., ICML
    2020.
    """
    fake, real = fake.double(), real.double()
    between = torch.cdist(real, fake, compute_mode="donot_use_mm_for_euclid_dist")
    precision = recall = density = coverage = None
    if len(real) > neighbours:
        inside = between < _radii(real, neighbours)[:, None]
        precision = inside.any(0).double().mean().item()
        density = inside.double().sum(0).mean().item() / neighbours
        coverage = inside.any(1).double().mean().item()
    if len(fake) > neighbours:
        recall = (between < _radii(fake, neighbours)[None]).any(1).double().mean().item()
    return Neighbourhood(precision=precision, recall=recall, density=density, coverage=coverage)


def _radii(points: Tensor, neighbours: int) -> Tensor:
    """Return the distance of each point to its k-th nearest other one."""
    own = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    return own.kthvalue(neighbours + 1, dim=1).values


@dataclass(frozen=True, kw_only=True)
class PRDC(Metric):
    """Base of the four: the mean over identities, as in PPA's code, in the judge's features.

    neighbours: k of the balls.
    """

    source = "Naeem et al., ICML 2020"
    direction = "minimize"
    low = 0.0
    unit = "share"
    objective = False  # not every trial measures it
    beside_verdict = True
    optional = True

    neighbours: int = 3

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError(f"neighbours must be at least 1; got {self.neighbours}")

    def measure(self, evidence: Evidence) -> float:
        """Return the figure; raise `Skipped` where an identity has too few images for it."""
        name = self.kind.removeprefix("prdc_")
        among = evidence.shared(f"prdc {self.neighbours}", lambda: self._each(evidence))
        figures: list[float] = [getattr(each, name) for each in among]
        if None in figures:
            whose = "reconstructions" if name == "recall" else "private training images"
            raise Skipped(
                f"{self.kind} needs more than {self.neighbours} {whose} of each person (neighbours); "
                "take more of them, or a lower number"
            )
        return sum(figures) / len(figures)

    def _each(self, evidence: Evidence) -> list[Neighbourhood]:
        return [
            neighbourhood(
                evidence.features[:, place],
                evidence.private_features[evidence.private_labels == label],
                self.neighbours,
            )
            for place, label in enumerate(evidence.identities.tolist())
        ]


@dataclass(frozen=True, kw_only=True)
class Precision(PRDC):
    """Measures the share of reconstructions that lie among the private images of their identity."""

    kind = "prdc_precision"
    summary = "share of reconstructions within reach of a private training image of their identity"
    high = 1.0
    short_label = "precision"


@dataclass(frozen=True, kw_only=True)
class Recall(PRDC):
    """Measures the share of private images that lie among the reconstructions of their identity."""

    kind = "prdc_recall"
    summary = "share of private training images within reach of a reconstruction of their identity"
    high = 1.0
    short_label = "recall"


@dataclass(frozen=True, kw_only=True)
class Density(PRDC):
    """Measures how many private images a reconstruction lies near, in multiples of k."""

    kind = "prdc_density"
    summary = "private training images that a reconstruction lies near, in multiples of the neighbours"
    high = None
    unit = "ratio"
    short_label = "density"


@dataclass(frozen=True, kw_only=True)
class Coverage(PRDC):
    """Measures the share of private images with a reconstruction near them."""

    kind = "prdc_coverage"
    summary = "share of private training images with a reconstruction in their neighbourhood"
    high = 1.0
    short_label = "coverage"
