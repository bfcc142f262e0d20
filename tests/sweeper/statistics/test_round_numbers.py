import math
from itertools import pairwise

import pytest

from sweeper.statistics.round_numbers import round_values


@pytest.mark.parametrize("most", [1, 2, 5, 9])
@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.449, 0.921), (-3.2, 7.0), (1e-7, 9e-7), (12345.0, 12346.5), (-5.0, -4.9)]
)
def test_values_are_even_multiples_of_a_round_step_inside_the_range(low, high, most):
    found = round_values(low, high, most)
    assert 1 <= len(found) <= most
    assert all(low - 1e-9 * abs(low) <= value <= high + 1e-9 * abs(high) for value in found)
    if len(found) > 1:
        step = found[1] - found[0]
        assert [b - a for a, b in pairwise(found)] == pytest.approx([step] * (len(found) - 1))
        digit = step / 10.0 ** math.floor(math.log10(step * (1 + 1e-6)))
        assert any(digit == pytest.approx(known, rel=1e-4) for known in (1, 2, 5))


@pytest.mark.parametrize(("low", "high"), [(0.9, 0.9), (0.9, 0.2), (math.nan, 0.5)])
def test_without_a_range_there_is_its_end(low, high):
    assert round_values(low, high, 9) == [high]
