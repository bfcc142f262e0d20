import math

import numpy as np
import pytest
from scipy.stats import t as student

from sweeper.statistics.intervals import interval_over


def test_one_value_keeps_its_interval_and_without_one_nothing_is_known():
    assert interval_over([0.4], [(0.3, 0.6)]) == pytest.approx((0.3, 0.6))
    assert interval_over([0.4], [None]) is None


def test_people_do_not_shrink_with_seeds_and_seeds_do():
    values = [0.3, 0.4, 0.5]
    low, high = interval_over(values, [(0.2, 0.5), (0.3, 0.6), (0.4, 0.7)])
    seeds = student.ppf(0.975, 2) * np.std(values, ddof=1) / math.sqrt(3)
    assert (low, high) == pytest.approx((0.4 - math.hypot(0.1, seeds), 0.4 + math.hypot(0.2, seeds)))
    alike = interval_over([0.4] * 9, [(0.3, 0.6)] * 9)
    assert alike == pytest.approx((0.3, 0.6))  # the same people, however often


def test_a_seed_without_an_interval_counts_for_the_seeds_alone():
    assert interval_over([0.4, 0.4], [(0.3, 0.6), None]) == pytest.approx((0.3, 0.6))
    reach = student.ppf(0.975, 1) * np.std([0.3, 0.5], ddof=1) / math.sqrt(2)
    assert interval_over([0.3, 0.5], [None, None]) == pytest.approx((0.4 - reach, 0.4 + reach))


def test_ends_stay_where_a_value_can_be():
    assert interval_over([0.0, 1.0], [None, None], 0.0, 1.0) == (0.0, 1.0)
