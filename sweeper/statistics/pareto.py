"""Pareto fronts and hypervolume. numpy only.

values: float (n, m), one row per trial, one column per objective.  directions: m words, ``"maximize"`` or
``"minimize"``. A row with a value that is not finite is a trial without a result: it is never on a front, it
dominates nothing and it has no volume.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def signs(directions: Sequence[str]) -> Floats:
    """Return float (m,): what to multiply objectives with so that lower is better, -1 for a maximised one."""
    unknown = [d for d in directions if d not in ("maximize", "minimize")]
    if unknown:
        raise ValueError(f"a direction must be maximize or minimize; got '{unknown[0]}'")
    return np.array([-1.0 if d == "maximize" else 1.0 for d in directions])


def _costs(values: ArrayLike, directions: Sequence[str]) -> Floats:
    """Return `values` (n, m) with the sign of every maximised objective turned, so that lower is better."""
    rows = np.asarray(values, dtype=np.float64).reshape(-1, len(directions))
    costs: Floats = rows * signs(directions)
    return costs


def non_dominated(values: ArrayLike, directions: Sequence[str]) -> Flags:
    """Return bool (n,): no other row is at least as good in every objective and better in one.

    Equal rows are all kept. One or two objectives take a sort, more take a pass for each row on the front.
    """
    costs = _costs(values, directions)
    front: Flags = np.asarray(np.isfinite(costs).all(axis=1))
    if len(directions) <= 2:
        kept = np.flatnonzero(front)
        front[kept] = _lowest(costs[kept, 0], costs[kept, -1])
        return front
    for i in np.flatnonzero(front):
        if front[i]:  # a row dominated before cannot remove anything that its dominator has not removed
            front = front & ~_dominated_by(costs, costs[i])
    return front


def _lowest(x: Floats, y: Floats) -> Flags:
    """Return bool (n,): no other point of finite `x` and `y` (n,) is as low in both and lower in one."""
    order = np.lexsort((y, x))
    level, cost = x[order], y[order]
    first = np.searchsorted(level, level, side="left")  # of the points at the same level, the lowest one
    best = np.append(np.inf, np.minimum.accumulate(cost))[first]  # among the points at lower levels
    found = np.zeros(len(x), dtype=bool)
    found[order] = (cost < best) & (cost == cost[first])
    return found


def _dominated_by(costs: Floats, row: Floats) -> Flags:
    """Return bool (n,): `row` (m,) dominates that row of `costs` (n, m)."""
    return np.asarray((row <= costs).all(axis=1) & (row < costs).any(axis=1))


def dominated_share(a: ArrayLike, b: ArrayLike, directions: Sequence[str]) -> float:
    """Return the share, in [0, 1], of the front of `a` that some row of `b` dominates; 0 if `a` has no front.

    A row that is equal to one of `b` is not dominated by it.
    """
    rows = _costs(a, directions)[non_dominated(a, directions)]
    rivals = _costs(b, directions)[non_dominated(b, directions)]
    if not len(rows):
        return 0.0
    beaten = [((rivals <= row).all(axis=1) & (rivals < row).any(axis=1)).any() for row in rows]
    return float(np.mean(beaten))
