"""Probability that a trial is on the front, each trial measured under several seeds. numpy only."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweeper.statistics.pareto import signs

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
    drawn = drawn_means(measured, draws=draws, seed=seed)
    if drawn is None:
        return None
    costs = drawn * signs(directions)
    step = max(1, _AT_ONCE // costs.shape[1] ** 2)
    hits = sum(non_dominated_rows(costs[i : i + step]).sum(axis=0) for i in range(0, draws, step))
    return np.asarray(hits / draws, dtype=np.float64)


def drawn_means(measured: Sequence[ArrayLike], *, draws: int = DRAWS, seed: int = 0) -> Floats | None:
    """Return the means of every draw, float (draws, n, m), as `front_probability` describes them."""
    rows = [np.atleast_2d(np.asarray(values, dtype=np.float64)) for values in measured]
    pool = [(row - row.mean(axis=0)) * np.sqrt(len(row) / (len(row) - 1)) for row in rows if len(row) > 1]
    if not pool:
        return None
    residuals = np.concatenate(pool)
    generator = np.random.default_rng(seed)
    return np.stack(
        [
            row.mean(axis=0)
            + residuals[generator.integers(len(residuals), size=(draws, len(row)))].mean(axis=1)
            for row in rows
        ],
        axis=1,
    )


def non_dominated_rows(costs: Floats) -> NDArray[np.bool_]:
    """Return bool (b, n): in each of b tables (n, m) of costs, the rows that no other row dominates."""
    mine, other = costs[:, :, None, :], costs[:, None, :, :]
    beaten = np.logical_and((other <= mine).all(axis=3), (other < mine).any(axis=3))
    unbeaten: NDArray[np.bool_] = np.logical_not(np.any(beaten, axis=2))
    return unbeaten
