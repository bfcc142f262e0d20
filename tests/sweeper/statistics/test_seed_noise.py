"""Noise of training seeds: formulas written out, and intervals in studies whose truth is known."""

import dataclasses
import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import t as student
from simulated_seeds import simulate
from simulated_studies import REGIMES

from sweeper.statistics.seed_noise import PooledNoise, pooled

NORMAL = NormalDist()


def test_deviations_are_pooled_over_trials_each_around_its_own_mean():
    groups = [([0.5, 0.6, 0.7], [0.8, 0.9, 0.85]), ([0.1, 0.2], [0.7, 0.72]), ([0.4], [0.9])]
    squares = [0.0, 0.0]
    for rates, accuracies in groups:
        for place, figures in enumerate(([NORMAL.inv_cdf(rate) for rate in rates], accuracies)):
            mean = sum(figures) / len(figures)
            squares[place] += sum((figure - mean) ** 2 for figure in figures)
    noise = pooled(groups, people=100)
    assert noise.freedom == 3
    assert noise.probit == pytest.approx(math.sqrt(squares[0] / 3))
    assert noise.accuracy == pytest.approx(math.sqrt(squares[1] / 3))


def test_nobody_and_everybody_count_as_a_quarter_of_a_person():
    noise = pooled([([0.0, 1.0], [0.5, 0.5])], people=50)
    ends = [NORMAL.inv_cdf(0.25 / 50), NORMAL.inv_cdf(1 - 0.25 / 50)]
    assert noise.probit == pytest.approx((ends[1] - ends[0]) / math.sqrt(2))


@pytest.mark.parametrize("groups", [[], [([0.5], [0.5])], [([0.5], [0.5]), ([0.1], [0.9])]])
def test_single_seeds_tell_nothing(groups):
    assert pooled(groups, people=10) is None


@pytest.mark.parametrize(("rate", "ends"), [(0.3, (0.2, 0.42)), (0.9, (0.7, 0.97)), (0.05, (0.01, 0.2))])
@pytest.mark.parametrize("seeds", [1, 3])
def test_variances_add_up_on_the_probit_scale(rate, ends, seeds):
    noise, z = PooledNoise(probit=0.2, accuracy=0.02, freedom=4), NORMAL.inv_cdf(0.975)
    result = noise.around_rate(rate, ends, people=1000, seeds=seeds)
    for side, sign in ((0, -1), (1, 1)):
        own = ((NORMAL.inv_cdf(ends[side]) - NORMAL.inv_cdf(rate)) / z) ** 2
        of_seeds = 0.2**2 / seeds
        freedom = (own + of_seeds) ** 2 / (of_seeds**2 / 4)
        margin = student.ppf(0.975, freedom) * math.sqrt(own + of_seeds)
        assert result[side] == pytest.approx(NORMAL.cdf(NORMAL.inv_cdf(rate) + sign * margin))


def test_variances_of_accuracies_add_up_as_they_are():
    noise, z = PooledNoise(probit=0.2, accuracy=0.02, freedom=2), NORMAL.inv_cdf(0.975)
    result = noise.around_accuracy(0.8, (0.76, 0.83))
    for side, margin in ((0, 0.04), (1, 0.03)):
        own = (margin / z) ** 2
        freedom = 2 * ((own + 0.02**2) / 0.02**2) ** 2
        reach = student.ppf(0.975, freedom) * math.sqrt(own + 0.02**2)
        assert abs(result[side] - 0.8) == pytest.approx(reach)


def test_seeds_alone_give_students_interval():
    noise = PooledNoise(probit=0.2, accuracy=0.02, freedom=4)
    low, high = noise.around_accuracy(0.5, (0.5, 0.5))
    assert (low, high) == pytest.approx(
        (0.5 - student.ppf(0.975, 4) * 0.02, 0.5 + student.ppf(0.975, 4) * 0.02)
    )
    assert noise.reach == pytest.approx(student.ppf(0.975, 4))


def test_no_noise_leaves_the_interval_as_it_is():
    still = PooledNoise(probit=0.0, accuracy=0.0, freedom=4)
    assert still.around_rate(0.3, (0.2, 0.4), people=40) == pytest.approx((0.2, 0.4))
    assert still.around_accuracy(0.3, (0.2, 0.4)) == pytest.approx((0.2, 0.4))


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("freedom", [1, 4, 40])
def test_an_interval_only_grows_and_stays_a_share(rate, freedom):
    noise = PooledNoise(probit=0.3, accuracy=0.1, freedom=freedom)
    ends = (max(0.0, rate - 0.04), min(1.0, rate + 0.07))
    for low, high in (noise.around_rate(rate, ends, people=60), noise.around_accuracy(rate, ends)):
        assert 0 <= low <= ends[0] and ends[1] <= high <= 1
    if rate == 0.0:
        assert noise.around_rate(rate, ends, people=60)[0] == 0.0


def test_draws_reach_as_far_as_students_interval():
    noise = PooledNoise(probit=0.2, accuracy=0.02, freedom=4)
    drawn = noise.for_draws
    z = NORMAL.inv_cdf(0.975)
    assert drawn.probit * z == pytest.approx(student.ppf(0.975, 4) * 0.2)
    assert drawn.accuracy * z == pytest.approx(student.ppf(0.975, 4) * 0.02)


@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.name)
def test_intervals_cover_what_recipes_give_under_other_seeds(regime):
    """40 studies of 12 trials that share people and seeds' deviations: their share spreads by about .015."""
    covered = simulate(dataclasses.replace(regime, probit=0.16, accuracy=0.016), 40, seed=5)
    assert covered.rate >= 0.91
    assert covered.accuracy >= 0.91
    assert covered.rate > covered.rate_without


def test_without_seeds_intervals_do_not_cover():
    covered = simulate(dataclasses.replace(REGIMES[3], probit=0.16, accuracy=0.016), 20, seed=5)
    assert covered.rate_without < 0.8


def test_the_noise_that_is_found_is_that_of_seeds_and_restarts():
    regime = dataclasses.replace(REGIMES[3], probit=0.3, accuracy=0.03, people=4000, images=4000)
    dice = np.random.default_rng(1)
    population = regime.population(dice)
    runs = [regime.measure(population, dice) for _ in range(30)]
    groups = [
        ([people[k].mean() for people, _ in runs], [images[k].mean() for _, images in runs])
        for k in range(regime.trials)
    ]
    noise = pooled(groups, regime.people)
    assert noise.freedom == 29 * 12
    assert noise.probit == pytest.approx(0.3, rel=0.1)
    assert noise.accuracy == pytest.approx(0.03, rel=0.1)
