from itertools import pairwise

import numpy as np
import pytest

from sweeper.statistics.attainment import attained, crossings, ranges

UP_DOWN = ["maximize", "minimize"]


def by_hand(rows, directions, level):
    """Return the best second value among the rows that reach `level`, nan if none does."""
    up = directions[0] == "maximize"
    reached = [cost for value, cost in rows if (value >= level if up else value <= level)]
    if not reached:
        return np.nan
    return min(reached) if directions[1] == "minimize" else max(reached)


@pytest.mark.parametrize("directions", [UP_DOWN, ["minimize", "maximize"], ["maximize", "maximize"]])
def test_the_best_of_those_that_reach_a_level(directions):
    dice = np.random.default_rng(0)
    rows, levels = dice.random((30, 2)), dice.random(12)
    best, who = attained(rows, directions, levels)
    for level, value, row in zip(levels, best, who, strict=True):
        assert value == pytest.approx(by_hand(rows, directions, level), nan_ok=True)
        assert (row == -1) == np.isnan(value)
        assert row == -1 or rows[row, 1] == value


def test_what_is_not_finite_attains_nothing():
    best, who = attained([[0.9, np.nan], [np.nan, 0.1], [0.5, 0.3]], UP_DOWN, [0.4, 0.6])
    assert best[0] == 0.3 and who[0] == 2
    assert np.isnan(best[1]) and who[1] == -1
    assert np.isnan(attained(np.empty((0, 2)), UP_DOWN, [0.5])[0]).all()


@pytest.mark.parametrize("directions", [UP_DOWN, ["minimize", "minimize"]])
@pytest.mark.parametrize("seed", range(5))
def test_ranges_cover_every_level_and_name_the_better_one(directions, seed):
    dice = np.random.default_rng(seed)
    a, b = dice.random((12, 2)).round(1), dice.random((9, 2)).round(1)
    worst = 0.0 if directions[0] == "maximize" else 1.0
    found = ranges(a, b, directions, worst)
    assert found[0].low == worst
    assert all(one.high == other.low for one, other in pairwise(found))
    ends = [found[0].low, *(part.high for part in found)]
    for level in np.linspace(0.003, 0.997, 200):
        inside = [p for p in found if min(p.low, p.high) < level < max(p.low, p.high)]
        mine, theirs = by_hand(a, directions, level), by_hand(b, directions, level)
        if not inside:
            assert (np.isnan(mine) and np.isnan(theirs)) or min(abs(level - e) for e in ends) < 1e-9
            continue
        if np.isnan(mine) or np.isnan(theirs):
            assert inside[0].better == ("second" if np.isnan(mine) else "first") and not inside[0].both
        else:
            expected = "neither" if mine == theirs else "first" if mine < theirs else "second"
            assert inside[0].better == expected and inside[0].both


def test_fronts_that_cross_once_and_not_at_all():
    a, b = [(0.9, 0.6), (0.5, 0.1)], [(0.9, 0.5), (0.5, 0.2)]
    (crossing,) = crossings(ranges(a, b, UP_DOWN, 0.0))
    assert (crossing.level, crossing.up_to, crossing.beyond) == (0.5, "first", "second")
    assert crossings(ranges(a, [(0.9, 0.7), (0.5, 0.2)], UP_DOWN, 0.0)) == []
    # Where only one reaches, there is nothing to cross.
    assert crossings(ranges(a, [(0.95, 0.7), (0.5, 0.2)], UP_DOWN, 0.0)) == []
    assert ranges(a, [], UP_DOWN, 0.0) == []


def test_equal_fronts_are_equal_everywhere():
    rows = [(0.9, 0.6), (0.5, 0.1)]
    (whole,) = ranges(rows, rows, UP_DOWN, 0.0)
    assert (whole.low, whole.high, whole.better, whole.both) == (0.0, 0.9, "neither", True)
