"""How sure it is that a trial is on the front, when each was measured under several seeds. numpy only."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

DRAWS = 4000
_AT_ONCE = 2_000_000  # comparisons of two rows held in memory


def front_probability(
    measured: Sequence[ArrayLike], directions: Sequence[str], *, draws: int = DRAWS, seed: int = 0
) -> Floats | None:
    """Return, for each trial, the share of bootstrap draws in which no other trial dominates it, float (n,).

    measured: one array (k_i, m) a trial: k_i seeds, m objectives. directions: m words, as in `front`.

    In every draw each trial gets its mean plus the mean of k_i residuals, drawn with replacement from the
    residuals of all trials: y_ij - mean_i, stretched by sqrt(k_i / (k_i - 1)), whole rows, so that objectives
    that vary together stay together (bootstrap of residuals; Davison and Hinkley, "Bootstrap Methods and
    their Application", 1997, section 6.2). A few seeds a trial are too few to resample alone; pooled they
    suffice, if trials vary about equally from seed to seed. The attacked identities are the same in all
    trials and are taken as given. None if no trial has two seeds: nothing is known of how they vary.

    Drawing adds to means that are noisy already, so the figure errs low for a trial close to its rivals.
    """
    rows = [np.asarray(one, dtype=np.float64).reshape(-1, len(directions)) for one in measured]
    signs = np.array([-1.0 if d == "maximize" else 1.0 for d in directions])
    costs = [row * signs for row in rows]
    pool = [
        (cost - cost.mean(axis=0)) * np.sqrt(len(cost) / (len(cost) - 1)) for cost in costs if len(cost) > 1
    ]
    if not pool:
        return None
    residuals = np.concatenate(pool)
    means = np.stack([cost.mean(axis=0) for cost in costs])
    generator = np.random.default_rng(seed)
    hits = np.zeros(len(costs))
    step = max(1, _AT_ONCE // len(costs) ** 2)
    for first in range(0, draws, step):
        count = min(step, draws - first)
        drawn = np.stack(
            [residuals[generator.integers(len(residuals), size=(count, len(c)))].mean(axis=1) for c in costs],
            axis=1,
        )
        hits += non_dominated_rows(means + drawn).sum(axis=0)
    return hits / draws


def non_dominated_rows(costs: Floats) -> NDArray[np.bool_]:
    """Return bool (b, n): in each of b tables (n, m) of costs, the rows that no other row dominates."""
    one, other = costs[:, :, None, :], costs[:, None, :, :]
    beaten = np.logical_and((other <= one).all(axis=3), (other < one).any(axis=3))
    unbeaten: NDArray[np.bool_] = np.logical_not(np.any(beaten, axis=2))
    return unbeaten
