"""Attack accuracy: how often a judge takes a reconstruction for the attacked identity; its interval."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.metrics.base import Evidence, Metric

NORMAL_975 = 1.959963984540054  # two-sided 95 %


@dataclass(frozen=True, kw_only=True)
class AttackAccuracy:
    """Shares in [0, 1] over all reconstructions, successful or not; lower is better for the defender.

    top1, top5: the judge's first choice, or one of its first five, is the attacked identity.
    interval: 95 % interval of `top1` over identities; see `interval95`.
    std: spread of `top1` over restarts as papers print it; see `restart_std`.
    per_identity: (N,) top-1 share over the restarts of each identity.
    """

    top1: float
    top5: float
    interval: tuple[float, float]
    std: float | None
    per_identity: Tensor


def attack_accuracy(logits: Tensor, identities: Tensor, group: int = 60) -> AttackAccuracy:
    """Return the accuracy of a judge's `logits` (R, N, K) for R restarts of `identities`, int64 (N,).

    group: how many identities the published protocol attacks together; it matters for `std` alone.
    """
    attacked = identities.expand(logits.shape[:2])
    best = logits.topk(min(5, logits.shape[2]), dim=2).indices
    hits = best == attacked.unsqueeze(2)
    first = hits[:, :, 0].double()
    per_identity = first.mean(0)
    return AttackAccuracy(
        top1=first.mean().item(),
        top5=hits.any(2).double().mean().item(),
        interval=interval95(per_identity, restarts=len(logits)),
        std=restart_std(first, group),
        per_identity=per_identity,
    )


def interval95(per_identity: Tensor, restarts: int) -> tuple[float, float]:
    """Return a 95 % interval of the mean of `per_identity` (N,), success rates over `restarts` each.

    Restarts of one identity succeed and fail together, so they are not independent trials: identities are.
    Wilson's interval (1927) for a proportion p of n_eff trials, with the effective sample size of Korn and
    Graubard (1998), n_eff = p (1 - p) / se^2, se = std(per_identity) / sqrt(N), kept between N (restarts say
    nothing new) and R N (they are independent). Where p is 0 or 1, se says nothing and n_eff is N.
    """
    count = len(per_identity)
    p = per_identity.double().mean().item()
    effective = float(count)
    if 0 < p < 1 and count > 1:
        variance = per_identity.double().var().item() / count
        most = float(count * restarts)
        effective = most if variance == 0 else min(max(p * (1 - p) / variance, float(count)), most)
    z2 = NORMAL_975**2
    centre = (p + z2 / (2 * effective)) / (1 + z2 / effective)
    half = NORMAL_975 / (1 + z2 / effective) * math.sqrt(p * (1 - p) / effective + z2 / (4 * effective**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def restart_std(success: Tensor, group: int) -> float | None:
    """Return the standard deviation as papers print it, of `success` (R, N) in {0, 1}; None if R is 1.

    For every `group` consecutive identities: the sample standard deviation (R - 1) of the accuracies of the
    R restarts; then the mean over groups. It is a spread over restarts, not over identities or trainings.
    """
    if len(success) < 2:
        return None
    parts = [part.mean(1).std() for part in torch.split(success.double(), group, dim=1)]
    return torch.stack(parts).mean().item()


def accuracy_of(evidence: Evidence) -> AttackAccuracy:
    """Return the attack accuracy of `evidence`, computed once for all metrics that read it."""
    return evidence.shared("attack_accuracy", lambda: attack_accuracy(evidence.logits, evidence.identities))


@dataclass(frozen=True, kw_only=True)
class AttackAccuracyTop1(Metric):
    """Measures the share of reconstructions that the judge recognises."""

    kind = "attack_accuracy_top1"
    summary = "share of reconstructions that the judge recognises"
    source = "Zhang et al. 2020"
    direction = "minimize"
    low = 0.0
    high = 1.0
    unit = "share"
    short_label = "attack accuracy"
    explanation = (
        "how often a judge, trained apart from the target, takes a reconstruction for the attacked identity"
    )
    objective = False  # the objective is a trial's attack_accuracy: that of its strongest attack

    def measure(self, evidence: Evidence) -> float:
        """Return the figure."""
        return accuracy_of(evidence).top1


@dataclass(frozen=True, kw_only=True)
class AttackAccuracyTop5(Metric):
    """Measures the share of reconstructions with the identity in the judge's first five."""

    kind = "attack_accuracy_top5"
    summary = "share of reconstructions with the identity in the judge's first five"
    source = "Zhang et al. 2020"
    direction = "minimize"
    low = 0.0
    high = 1.0
    unit = "share"
    short_label = "top 5"
    objective = False  # it rises with the first choice: a front of both is a front of one

    def measure(self, evidence: Evidence) -> float:
        """Return the figure."""
        return accuracy_of(evidence).top5


@dataclass(frozen=True, kw_only=True)
class AttackAccuracyStd(Metric):
    """Measures the spread of the top-1 share over restarts."""

    kind = "attack_accuracy_std"
    summary = "spread of the top-1 share over restarts"
    source = "Zhang et al. 2020"
    direction = "minimize"
    low = 0.0
    high = 1.0
    unit = "share"
    objective = False  # a spread, not a success
    auxiliary = True

    def measure(self, evidence: Evidence) -> float | None:
        """Return the figure; None with one restart."""
        return accuracy_of(evidence).std
