import pytest

from sweeper.statistics.agreement import fleiss_kappa


def test_several_readers_as_in_the_worked_example_of_the_definition():
    """P_i = sum over answers of n (n - 1) / (R (R - 1)), written out by hand for three readers."""
    counts = [[3, 0], [2, 1], [0, 3], [1, 2]]
    equal = (1 + 1 / 3 + 1 + 1 / 3) / 4
    shares = (6 / 12, 6 / 12)
    chance = sum(share**2 for share in shares)
    assert fleiss_kappa(counts) == pytest.approx((equal - chance) / (1 - chance))
    assert fleiss_kappa([[3, 0], [0, 3]]) == 1


def test_one_answer_alone_says_nothing():
    assert fleiss_kappa([[2, 0], [2, 0]]) is None and fleiss_kappa([]) is None


@pytest.mark.parametrize("counts", [[[1, 0]], [[2, 0], [3, 0]]])
def test_cases_with_other_readers_are_refused(counts):
    with pytest.raises(ValueError, match="as many readers of every case"):
        fleiss_kappa(counts)
