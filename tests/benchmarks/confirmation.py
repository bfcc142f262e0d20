"""What `sweeper confirm` finds: members of a noisy front that are not truly on it, where the truth is known.

    python tests/benchmarks/confirmation.py [studies] [seeds] [trials]

Each study has trials along a trade-off, most of them below it, and measures them once with noise. The
members of the front that this shows, and the trials near it, get fresh measurements, and from these alone a
probability of being on the front; below one half a member is flagged.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.statistics.membership import front_probability
from sweeper.statistics.pareto import non_dominated

Floats = NDArray[np.float64]

DIRECTIONS = ("maximize", "minimize")
NOISE = (0.01, 0.02)  # of test and attack accuracy, from seed to seed


@dataclass
class Tally:
    """Counts over studies."""

    members: int = 0
    false: int = 0
    found: int = 0  # false members that were flagged
    doubted: int = 0  # true members that were flagged
    kept: int = 0
    kept_false: int = 0


def noisy_study(draw: np.random.Generator, trials: int) -> tuple[Floats, Floats]:
    """Return true and measured values (trials, 2)."""
    depth = draw.random(trials)
    accuracy = 0.95 - 0.5 * depth**2 - draw.exponential(0.04, trials)
    leak = 0.7 * (1 - depth) ** 1.2 + 0.02 + draw.exponential(0.03, trials)
    true = np.stack([accuracy, leak], axis=1)
    return true, true + draw.normal(0, NOISE, true.shape)


def count(tally: Tally, draw: np.random.Generator, seeds: int, trials: int) -> None:
    """Add one study."""
    true, seen = noisy_study(draw, trials)
    on_front, truly = non_dominated(seen, DIRECTIONS), non_dominated(true, DIRECTIONS)
    better = seen + np.array([0.0, -2 * NOISE[1]])  # as far as an interval of the attack may reach
    near = [bool(non_dominated(np.vstack([seen[on_front], row]), DIRECTIONS)[-1]) for row in better]
    measured = np.flatnonzero(on_front | np.array(near))
    fresh: list[Any] = [true[i] + draw.normal(0, NOISE, (seeds, 2)) for i in measured]
    probability = front_probability(fresh, DIRECTIONS, draws=1000)
    if probability is None:
        raise SystemExit("one fresh seed says nothing of how seeds differ; take 2 or more")
    for number, chance in zip(measured, probability, strict=True):
        if on_front[number]:
            wrong, flagged = not truly[number], chance < 0.5
            tally.members += 1
            tally.false += wrong
            tally.found += wrong and flagged
            tally.doubted += bool(truly[number] and flagged)
            tally.kept += not flagged
            tally.kept_false += bool(wrong and not flagged)


def main(studies: int, seeds: int, trials: int) -> None:
    """Print the share of false members before and after."""
    tally, draw = Tally(), np.random.default_rng(0)
    for _ in range(studies):
        count(tally, draw, seeds, trials)
    true = tally.members - tally.false
    print(f"{studies} studies of {trials} trials, {tally.members} members of their measured fronts")
    print(f"not truly on the front: {tally.false} ({tally.false / tally.members:.0%})")
    print(f"flagged after {seeds} fresh seeds: {tally.found} of them ({tally.found / tally.false:.0%})")
    print(f"flagged though truly on it: {tally.doubted} of {true} ({tally.doubted / true:.0%})")
    left = f"{tally.kept_false} of {tally.kept} ({tally.kept_false / tally.kept:.0%})"
    print(f"not truly on the front among those not flagged: {left}")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [60, 3, 40][len(given) :]))
