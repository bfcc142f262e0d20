"""Agreement of judges and readers, beside a count by hand."""

import itertools

import pytest

from trainables.judges.agreement import cohen_kappa


def test_kappa_is_agreement_beyond_chance():
    first, other = [0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 0]
    equal = 4 / 6
    chance = (2 * 2 + 2 * 3 + 2 * 1) / 36  # how often each names 0, 1 and 2
    assert cohen_kappa(first, other) == pytest.approx((equal - chance) / (1 - chance))


def test_two_readers_beyond_chance():
    """20 both yes, 5 and 10 apart, 15 both no: equal 0.7, by chance 0.5 x 0.6 + 0.5 x 0.4 = 0.5."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert cohen_kappa(second, first) == cohen_kappa(first, second)
    assert cohen_kappa(first, first) == 1
    assert cohen_kappa(["a", "b"], ["b", "a"]) == -1


def test_independent_readers_agree_by_chance_alone():
    cases = list(itertools.product("yn", "yn"))  # every pair of answers once
    assert cohen_kappa([a for a, _ in cases], [b for _, b in cases]) == pytest.approx(0)


def test_one_answer_alone_says_nothing():
    assert cohen_kappa(["yes"] * 3, ["yes"] * 3) is None and cohen_kappa([], []) is None
    assert cohen_kappa(["yes"] * 3, ["no"] * 3) == 0


def test_other_cases_are_refused():
    with pytest.raises(ValueError, match="the same cases"):
        cohen_kappa(["a"], [])
