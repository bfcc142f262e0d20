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

# The worst that each objective can be: a useless classifier, and one that an attacker reads completely.
REFERENCE = {"test_accuracy": 0.0, "attack_accuracy": 1.0}


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


def hypervolume(values: ArrayLike, directions: Sequence[str], reference: Sequence[float]) -> float:
    """Return the exact volume dominated by the rows and bounded by `reference` (m,); higher is better.

    For one to three objectives. Rows that are not better than the reference in every objective add nothing.
    With the default reference and accuracies in [0, 1] the result lies in [0, 1].
    """
    if len(directions) not in (1, 2, 3):
        raise ValueError(f"hypervolume is exact for 1 to 3 objectives; got {len(directions)}")
    costs = _costs(values, directions)
    corner = _costs([list(reference)], directions)[0]
    costs = costs[np.isfinite(costs).all(axis=1)]
    costs = costs[(costs < corner).all(axis=1)]
    if not len(costs):
        return 0.0
    if len(directions) == 1:
        return float(corner[0] - costs.min())
    if len(directions) == 2:
        return _area(costs, corner)
    return _volume(np.unique(costs[non_dominated(costs, ["minimize"] * 3)], axis=0), corner)


def _area(costs: Floats, corner: Floats) -> float:
    """Return the area between `costs` (n, 2) and `corner`: a strip from each row to the next, as high as the
    best row so far; rows that others dominate change nothing."""
    steps = costs[np.lexsort((costs[:, 1], costs[:, 0]))]
    best = np.minimum.accumulate(steps[:, 1])
    right = np.append(steps[1:, 0], corner[0])
    return float(((right - steps[:, 0]) * (corner[1] - best)).sum())


def _volume(costs: Floats, corner: Floats) -> float:
    """Return the volume between `costs` (n, 3) and `corner`: areas of slices along the third objective."""
    order = costs[np.argsort(costs[:, 2], kind="stable")]
    thickness = np.diff(np.append(order[:, 2], corner[2]))
    slices = (_area(order[: i + 1, :2], corner[:2]) * t for i, t in enumerate(thickness) if t > 0)
    return float(sum(slices))


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
