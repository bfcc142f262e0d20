"""Interval of the strongest of several attacks: a maximum is too high by luck."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.metrics.attack_accuracy import interval95

DRAWS = 1000


def interval_of_maximum(per_identity: Tensor, restarts: Sequence[int]) -> tuple[float, float]:
    """Return a 95 % interval of the highest accuracy that any of A attacks has on people like these.

    The strongest attack's own interval (`interval95`), with its lower end moved to where the luck of the
    choice is taken off: the lower of that end less the bias of the maximum, and of the basic bootstrap's end
    2 t - q.975 (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2). People are
    drawn again together for all attacks. For one attack it is `interval95`.

    Args:
        per_identity: (A, N), success rates of A attacks on the same N people.
        restarts: of each attack.
    """
    rates = per_identity.double()
    means = rates.mean(1)
    strongest = int(means.argmax())
    low, high = interval95(rates[strongest], restarts[strongest])
    attacks, count = rates.shape
    if attacks == 1 or count < 2:
        return low, high
    generator = torch.Generator().manual_seed(0)
    people = torch.randint(0, count, (DRAWS, count), generator=generator)
    counts = torch.zeros(DRAWS, count, dtype=torch.float64).scatter_add_(
        1, people, torch.ones(DRAWS, count, dtype=torch.float64)
    )
    # Draws spread too little by (N - 1) / N: put them that much further from what was measured.
    drawn = means + (counts / count @ rates.T - means) * (count / (count - 1)) ** 0.5
    highest = drawn.amax(1)
    bias = highest.mean().item() - means[strongest].item()
    basic = 2 * means[strongest].item() - torch.quantile(highest, 0.975).item()
    return max(0.0, min(low, low - bias, basic)), high


def people_found(per_identity: Tensor) -> int:
    """Return how many of N people any of A attacks recovered in any restart; per_identity (A, N)."""
    return int((per_identity > 0).any(0).sum())
