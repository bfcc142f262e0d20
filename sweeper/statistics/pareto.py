"""Pareto fronts: which trials no other trial beats.

values: float (n, m), one row per trial, one column per objective.  directions: m words, ``"maximize"`` or
``"minimize"``. A row with a value that is not finite is a trial without a result: it is never on a front, it
dominates nothing and it has no volume.
"""

from collections.abc import Sequence

import moocore
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


def as_costs(values: ArrayLike, directions: Sequence[str]) -> Floats:
    """Return `values` (n, m) with the sign of every maximised objective turned, so that lower is better."""
    rows = np.asarray(values, dtype=np.float64).reshape(-1, len(directions))
    costs: Floats = rows * signs(directions)
    return costs


def non_dominated(values: ArrayLike, directions: Sequence[str]) -> Flags:
    """Return bool (n,): no other row is at least as good in every objective and better in one.

    Equal rows are all kept.
    """
    costs = as_costs(values, directions)
    front: Flags = np.asarray(np.isfinite(costs).all(axis=1))
    rows = np.flatnonzero(front)
    if len(rows):
        front[rows] = moocore.is_nondominated(costs[rows], keep_weakly=True)
    return front


def dominated_share(a: ArrayLike, b: ArrayLike, directions: Sequence[str]) -> float:
    """Return the share, in [0, 1], of the front of `a` that some row of `b` dominates; 0 if `a` has no front.

    A row that is equal to one of `b` is not dominated by it.
    """
    rows = as_costs(a, directions)[non_dominated(a, directions)]
    rivals = as_costs(b, directions)[non_dominated(b, directions)]
    if not len(rows):
        return 0.0
    beaten = [((rivals <= row).all(axis=1) & (rivals < row).any(axis=1)).any() for row in rows]
    return float(np.mean(beaten))
