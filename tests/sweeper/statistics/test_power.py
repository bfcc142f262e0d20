"""Power against simulated studies, and against itself: people needed have the power asked for."""

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact, hypergeom, norm

from sweeper.statistics.power import (
    effective_people,
    exact_power,
    people_needed,
    people_within_reach,
    power_of,
    restarts_needed,
    smallest_difference,
)


def simulated_power(first, second, people, seed_deviation=0.0, tests=1, repetitions=20_000):
    dice = np.random.default_rng(0)
    rates = np.clip(
        np.array([[first], [second]]) + seed_deviation * dice.standard_normal((2, repetitions)), 0, 1
    )
    measured = dice.binomial(people, rates) / people
    mean = measured.mean(0)
    error = np.sqrt(2 * mean * (1 - mean) / people + 2 * seed_deviation**2)
    return np.mean(np.abs(measured[0] - measured[1]) > norm.ppf(1 - 0.025 / tests) * np.maximum(error, 1e-12))


@pytest.mark.parametrize(
    ("first", "second", "people", "deviation", "tests"),
    [
        (0.5, 0.3, 100, 0.0, 1),
        (0.5, 0.3, 100, 0.05, 1),
        (0.5, 0.3, 100, 0.05, 6),
        (0.2, 0.1, 214, 0.0, 1),
        (0.6, 0.6, 60, 0.0, 1),
    ],
)
def test_power_is_the_share_of_simulated_studies_that_tell(first, second, people, deviation, tests):
    expected = simulated_power(first, second, people, deviation, tests)
    power = power_of(first, second, people, seed_deviation=deviation, tests=tests)
    assert power == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("first", "second", "needed"), [(0.033, 0.005, 370), (0.033, 0.014, 994), (0.067, 0.05, 2988)]
)
def test_people_needed_at_low_rates(first, second, needed):
    assert people_needed(first, second) == pytest.approx(needed, rel=0.01)
    assert people_needed(second, first) == people_needed(first, second)


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_those_who_are_needed_have_the_power(power):
    people = people_needed(0.4, 0.25, power=power)
    assert power_of(0.4, 0.25, people) == pytest.approx(power, abs=0.01)
    assert power_of(0.4, 0.25, people - 1) < power


def test_equal_rates_need_nobody_and_everybody():
    with pytest.raises(ValueError, match=r"two different rates; got 0\.3 twice"):
        people_needed(0.3, 0.3)


def test_restarts_are_worth_people_as_far_as_they_disagree():
    assert effective_people(40, 5, agreement=1.0) == pytest.approx(40)
    assert effective_people(40, 5, agreement=0.0) == pytest.approx(200)
    assert effective_people(40, 5, agreement=0.5) == pytest.approx(40 * 5 / 3)
    assert effective_people(40, 1) == 40


def test_the_smallest_difference_is_where_the_power_is_reached():
    drop = smallest_difference(0.6, 80)
    assert power_of(0.6, 0.6 - drop, 80) == pytest.approx(0.8, abs=1e-6)
    wider = smallest_difference(0.6, 80, seed_deviation=0.05)
    assert wider > drop
    assert power_of(0.6, 0.6 - wider, 80, seed_deviation=0.05) == pytest.approx(0.8, abs=1e-6)
    assert smallest_difference(0.6, 80, power=0.5) < drop
    together = smallest_difference(0.6, 80, tests=6)
    assert power_of(0.6, 0.6 - together, 80, tests=6) == pytest.approx(0.8, abs=1e-6)
    assert together > drop


def test_an_attack_at_its_floor_shows_nothing():
    assert smallest_difference(0.033, 60) is None
    assert smallest_difference(0.0, 60) is None


@pytest.mark.parametrize(
    ("first", "second", "people", "expected"),
    [(0.067, 0.0, 60, 0.2), (0.033, 0.005, 214, 0.44), (0.033, 0.014, 214, 0.15)],
)
def test_exact_power_at_low_rates(first, second, people, expected):
    assert exact_power(first, second, people) == pytest.approx(expected, abs=0.015)
    assert power_of(first, second, people) > expected  # too hopeful here


def test_exact_power_is_the_share_of_all_tables_that_fishers_test_rejects():
    told = sum(
        binom.pmf(one, 12, 0.7) * binom.pmf(other, 12, 0.1)
        for one in range(13)
        for other in range(13)
        if fisher_exact([[one, 12 - one], [other, 12 - other]]).pvalue < 0.05
    )
    assert exact_power(0.7, 0.1, 12) == pytest.approx(told)
    assert exact_power(0.1, 0.7, 12) == pytest.approx(told)
    assert exact_power(1.0, 0.0, 12) == pytest.approx(1.0)
    assert exact_power(0.4, 0.4, 30) < 0.05


@pytest.mark.parametrize("people", [50, 540, 1000])
def test_exact_power_of_many_people(people):
    """Against scipy's tables; of equal rates it is at most the level, however many people there are."""
    first, second = 0.03, 0.014
    chances = [binom.pmf(np.arange(people + 1), people, rate) for rate in (first, second)]
    told = 0.0
    for total in range(1, 2 * people + 1):
        one = np.arange(max(0, total - people), min(people, total) + 1)
        weight = chances[0][one] * chances[1][total - one]
        if weight.sum() < 1e-9:  # no study comes to this
            continue
        tables = hypergeom.pmf(one, 2 * people, people, total)
        p = np.array([tables[tables <= table * (1 + 1e-7)].sum() for table in tables])
        told += weight[p < 0.05].sum()
    assert exact_power(first, second, people) == pytest.approx(told, abs=1e-6)
    assert exact_power(0.02, 0.02, people) <= 0.05


def test_people_within_reach_of_a_floor_have_the_power_that_was_asked_for():
    assert people_within_reach(0.033, 0.005) == people_needed(0.033, 0.005)
    for restarts, deviation in ((1, 0.01), (5, 0.01), (5, 0.0)):
        people = people_within_reach(0.1, 0.03, restarts=restarts, seed_deviation=deviation)
        worth = [effective_people(number, restarts) for number in (people, people - 1)]
        power = [power_of(0.1, 0.03, number, seed_deviation=deviation / 2**0.5) for number in worth]
        assert power[0] >= 0.8 - 1e-9 and power[1] < 0.8
    assert people_within_reach(0.1, 0.03, seed_deviation=0.2) is None  # hidden from any number


def test_restarts_are_needed_until_people_are_worth_enough():
    assert restarts_needed(60, 60) == 1
    for needed in (61, 90, 110):
        count = restarts_needed(60, needed)
        assert effective_people(60, count) >= needed - 1e-9 > effective_people(60, count - 1) - 2e-9
    assert restarts_needed(60, 120) is None  # what ever so many are worth
