"""Attainment of a front: for a level of one objective, the best of the other. numpy only.

values: float (n, 2), rows are trials: the objective that is given as a level, then the one that is attained.
directions: two words, ``"maximize"`` or ``"minimize"``. A row that is not finite attains nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweeper.statistics.pareto import non_dominated

Floats = NDArray[np.float64]
Better = Literal["first", "second", "neither"]


@dataclass(frozen=True)
class Range:
    """Levels from `low` to `high` over which one front is better, or both are equal ("neither").

    both: whether both fronts reach these levels; where only one does, it is the better one.
    """

    low: float
    high: float
    better: Better
    both: bool


@dataclass(frozen=True)
class Crossing:
    """A level at which two fronts change places: the one that is better up to it, and the one beyond.

    Beyond means better in the level's own objective. up_to and beyond are "first" or "second".
    """

    level: float
    up_to: Better
    beyond: Better


def attained(
    values: ArrayLike, directions: Sequence[str], levels: ArrayLike
) -> tuple[Floats, NDArray[np.intp]]:
    """Return, for each of `levels` (k,), the best second objective of the rows that are at least as good in
    the first, float (k,), nan where no row is; and the row that attains it, int (k,), -1 where none does.
    """
    rows = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    targets = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    level, cost = _ascending(rows, directions)
    limit = targets * (1 if directions[0] == "maximize" else -1)
    finite = np.asarray(np.isfinite(rows).all(axis=1))
    reached = finite[None] & (level[None] >= limit[:, None])
    if not reached.size:
        return np.full(len(targets), np.nan), np.full(len(targets), -1)
    costs = np.where(reached, cost[None], np.inf)
    row = costs.argmin(axis=1)
    attained = reached.any(axis=1)
    return np.where(attained, rows[row, 1], np.nan), np.where(attained, row, -1)


def _ascending(rows: Floats, directions: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the two columns turned so that a higher level is better and a lower cost is better."""
    level = rows[:, 0] * (1 if directions[0] == "maximize" else -1)
    cost = rows[:, 1] * (-1 if directions[1] == "maximize" else 1)
    return level, cost


def ranges(first: ArrayLike, second: ArrayLike, directions: Sequence[str], worst: float) -> list[Range]:
    """Return which of two sets of rows attains more at which level, without gaps, from the level `worst` on.

    What rows attain is a step function that only changes at the levels of their front, so the answer is
    exact. Empty if either set has no finite row. Levels that are worse than `worst` are left out.
    """
    tables = [np.asarray(t, dtype=np.float64).reshape(-1, 2) for t in (first, second)]
    tables = [t[non_dominated(t, directions)] for t in tables]  # the others attain nothing more
    if not all(len(t) for t in tables):
        return []
    cuts = np.unique(np.concatenate([t[:, 0] for t in tables]))
    if directions[0] == "minimize":
        cuts = cuts[::-1]
    merged: list[Range] = []
    better_than = np.greater if directions[0] == "maximize" else np.less
    cuts = cuts[better_than(cuts, worst)]
    ours, theirs = (attained(t, directions, cuts)[0] for t in tables)
    start = worst
    for cut, a, b in zip(cuts.tolist(), ours.tolist(), theirs.tolist(), strict=True):
        better = _better(a, b, directions[1])
        both = not (np.isnan(a) or np.isnan(b))
        if merged and (merged[-1].better, merged[-1].both) == (better, both):
            merged[-1] = Range(merged[-1].low, cut, better, both)
        else:
            merged.append(Range(start, cut, better, both))
        start = cut
    return merged


def _better(a: float, b: float, direction: str) -> Better:
    if np.isnan(a) or np.isnan(b):
        return "second" if np.isnan(a) else "first"
    if a == b:
        return "neither"
    return "first" if (a > b) == (direction == "maximize") else "second"


def crossings(ranges: Sequence[Range]) -> list[Crossing]:
    """Return where the better one of `ranges` changes, among the levels that both fronts reach."""
    decided = [r for r in ranges if r.both and r.better != "neither"]
    return [
        Crossing(before.high, before.better, after.better)
        for before, after in pairwise(decided)
        if before.better != after.better
    ]
