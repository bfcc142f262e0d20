"""Paired tests against every flip counted, and against simulated people."""

from itertools import product
from math import comb

import numpy as np
import pytest

from sweeper.statistics.paired import paired_test, upper_bound


def test_mcnemar_is_the_sign_test_over_those_who_differ():
    first = [1, 1, 1, 1, 1, 1, 0, 0, 1, 0]
    second = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    result = paired_test(first, second)
    expected = 2 * sum(comb(7, k) for k in (6, 7)) / 2**7
    assert result.p == pytest.approx(expected)
    assert (result.first_only, result.second_only) == (6, 1)
    assert result.difference == pytest.approx(0.5)
    assert not result.differ


def test_figures_of_the_papers_kind_that_no_test_carries():
    four_of_sixty, nobody = [1] * 4 + [0] * 56, [0] * 60
    assert paired_test(four_of_sixty, nobody).p == pytest.approx(0.125)
    assert not paired_test(four_of_sixty, nobody).differ
    assert paired_test([1] * 7 + [0] * 53, nobody).differ


RATES = [0.2, 0.8, 0.6, 1.0, 0.4, 0.3]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (RATES, [0.0, 0.4, 0.8, 0.6, 0.4, 0.1]),
        (RATES, [0, 1, 0, 0, 1, 0]),  # one restart against several: no sign test, whichever has one
        ([0, 1, 0, 0, 1, 0], RATES),
        (RATES, [0] * 6),
    ],
)
def test_rates_over_restarts_flip_signs_as_all_flips_counted_do(first, second):
    differences = np.array(first) - np.array(second)
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=6)
    ]
    expected = np.mean([total >= abs(differences.sum()) - 1e-12 for total in sums])
    assert paired_test(first, second).p == pytest.approx(expected)


@pytest.mark.parametrize("people", [1, 2, 7, 12])
def test_few_people_have_all_their_flips_tried(people):
    """Of those who are all ahead, two flips in 2^n are as far from 0; who are equal count for nothing."""
    ahead = 0.1 + np.arange(people) / 20
    assert paired_test([*ahead, 0.5, 0.5], [0.0] * people + [0.5, 0.5]).p == 2 / 2**people


def test_what_was_measured_is_one_of_the_flips():
    """So that p is never 0, however clear the difference: no random flip of forty comes as far."""
    assert paired_test(np.linspace(0.5, 0.9, 40), np.zeros(40)).p == 1 / 10_001


def test_many_people_draw_flips_at_random_and_agree_with_the_normal_approximation():
    dice = np.random.default_rng(0)
    first, second = dice.random(200), dice.random(200) + 0.04
    z = abs((first - second).sum()) / np.sqrt(((first - second) ** 2).sum())
    from scipy.stats import norm

    assert paired_test(first, second).p == pytest.approx(2 * norm.sf(z), abs=0.015)
    assert paired_test(first, second, seed=1).p != paired_test(first, second, seed=2).p


def test_the_sign_of_the_difference_follows_the_order():
    assert paired_test([1, 1, 0], [0, 0, 0]).difference > 0 > paired_test([0, 0, 0], [1, 1, 0]).difference


def test_equal_rates_do_not_differ():
    result = paired_test([0.5, 0.2, 1.0], [0.5, 0.2, 1.0])
    assert (result.p, result.difference, result.differ) == (1.0, 0.0, False)


def test_equal_recipes_are_told_apart_in_one_case_of_twenty_at_most():
    dice = np.random.default_rng(4)
    studies = [dice.integers(0, 4, (2, 40)) / 3 for _ in range(300)]
    told = sum(paired_test(first, second, seed=n).differ for n, (first, second) in enumerate(studies))
    assert told <= 27  # of 300 at 5 %: above this by chance in one case of two thousand


@pytest.mark.parametrize("pair", [([0.1], [0.1, 0.2]), ([], []), ([[0.1]], [[0.1]])])
def test_other_people_are_refused(pair):
    with pytest.raises(ValueError, match="the same people"):
        paired_test(*pair)


@pytest.mark.parametrize(("count", "bound"), [(60, 0.0487), (1, 0.95), (214, 0.0139)])
def test_nobody_found_is_below_a_rate(count, bound):
    assert upper_bound(count) == pytest.approx(bound, abs=5e-5)
    assert (1 - upper_bound(count)) ** count == pytest.approx(0.05)  # so rare would finding nobody be there


def test_a_bound_needs_somebody():
    with pytest.raises(ValueError, match="at least one person; got 0"):
        upper_bound(0)


def test_the_one_sided_p_is_the_upper_tail():
    first, second = [1, 1, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1, 0]
    expected = sum(comb(7, k) for k in (6, 7)) / 2**7
    assert paired_test(first, second).p_higher == pytest.approx(expected)
    assert paired_test(second, first).p_higher == pytest.approx(1 - expected)
    assert paired_test(first, first).p_higher == 0.5
