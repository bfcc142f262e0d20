import pytest

from trainables.runtime.duration import Duration


def test_sums_and_multiples_are_those_of_the_ends():
    assert Duration(low=1, high=3) + Duration.exactly(2) == Duration(low=3, high=5)
    assert sum([Duration(low=1, high=3), Duration(low=2, high=2)]) == Duration(low=3, high=5)
    assert 3 * Duration(low=1, high=3) == Duration(low=1, high=3) * 3 == Duration(low=3, high=9)
    assert Duration(low=1, high=4).middle == 2.5


def test_a_span_reaches_from_the_lowest_to_the_highest():
    parts = [Duration(low=2, high=3), Duration(low=1, high=2), Duration(low=2.5, high=9)]
    assert Duration.spanning(parts) == Duration(low=1, high=9)
    assert Duration.spanning([]) == Duration.exactly(0)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (2, 1), (float("nan"), 1), (1, float("nan"))])
def test_ends_that_make_no_sense_are_refused(low, high):
    with pytest.raises(ValueError, match="0 <= low <= high"):
        Duration(low=low, high=high)
