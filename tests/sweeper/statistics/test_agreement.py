import itertools

import pytest

from sweeper.statistics.agreement import cohen_kappa, fleiss_kappa


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


def test_several_readers_as_in_the_worked_example_of_the_definition():
    """P_i = sum over answers of n (n - 1) / (R (R - 1)), written out by hand for three readers."""
    counts = [[3, 0], [2, 1], [0, 3], [1, 2]]
    equal = (1 + 1 / 3 + 1 + 1 / 3) / 4
    shares = (6 / 12, 6 / 12)
    chance = sum(share**2 for share in shares)
    assert fleiss_kappa(counts) == pytest.approx((equal - chance) / (1 - chance))
    assert fleiss_kappa([[3, 0], [0, 3]]) == 1


def test_one_answer_alone_says_nothing():
    assert cohen_kappa(["yes"] * 3, ["yes"] * 3) is None and cohen_kappa([], []) is None
    assert fleiss_kappa([[2, 0], [2, 0]]) is None and fleiss_kappa([]) is None


@pytest.mark.parametrize("counts", [[[1, 0]], [[2, 0], [3, 0]]])
def test_cases_with_other_readers_are_refused(counts):
    with pytest.raises(ValueError, match="as many readers of every case"):
        fleiss_kappa(counts)
    with pytest.raises(ValueError, match="the same cases"):
        cohen_kappa(["a"], [])
