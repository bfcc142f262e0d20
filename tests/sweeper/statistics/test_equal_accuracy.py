"""Regression at equal accuracy, on simulated trainings whose truth is known."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from sweeper.statistics.contrasts import holm
from sweeper.statistics.equal_accuracy import at_equal_accuracy

NORMAL = NormalDist()
SEEDS, PEOPLE, STUDIES = 3, 40, 40


def simulated(dice, points, levels, effect, drop):
    """Return targets of `points` freeze points: accuracy falls by `drop` a point, the probit by `effect`."""
    faces = 0.8 * dice.standard_normal(PEOPLE)
    rows = []
    for point in range(points):
        for seed in range(SEEDS):
            own = 0.25 * dice.standard_normal()
            for level in levels:
                accuracy = level - drop * point + 0.015 * dice.standard_normal()
                score = 1.3 * ndtri(accuracy) - 1 + own + effect(point) + faces
                rows.append((accuracy, dice.binomial(2, ndtr(score)) / 2, point, (point, seed)))
    accuracies, rates, at, trainings = zip(*rows, strict=True)
    return np.array(accuracies), np.array(rates), np.array(at), trainings


def test_without_noise_the_shift_is_found_exactly():
    accuracies, rates, depth = [], [], []
    for point in range(3):
        for level in (0.5, 0.6, 0.7, 0.8):
            accuracy = level - 0.05 * point
            rate = NORMAL.cdf(0.9 * NORMAL.inv_cdf(accuracy) - 0.3 - 0.4 * point)
            accuracies.append(accuracy)
            rates.append([rate] * 10)
            depth.append(point)
    result = at_equal_accuracy(accuracies, rates, depth, range(12))
    assert (result.intercept, result.slope) == pytest.approx((-0.3, 0.9))
    assert result.rate(0.65, [2.0]) == pytest.approx(NORMAL.cdf(0.9 * NORMAL.inv_cdf(0.65) - 0.3 - 0.8))
    (effect,) = result.effects
    assert (effect.shift, effect.low, effect.high) == pytest.approx((-0.4,) * 3, abs=1e-6)
    assert result.p == pytest.approx(1 / 2000)


@pytest.mark.parametrize(("size", "low", "high"), [(0.0, 0.0, 0.1), (-0.9, 0.85, 1.0)])
def test_groups_are_told_apart_where_they_leak_less_at_equal_accuracy(size, low, high):
    dice, told = np.random.default_rng(2), 0
    for _ in range(STUDIES):
        accuracies, rates, at, trainings = simulated(
            dice, 4, (0.4, 0.6, 0.75, 0.85), lambda point: size * (point > 0), 0.05
        )
        groups = np.stack([at == point for point in (1, 2, 3)], axis=1)
        result = at_equal_accuracy(accuracies, rates, groups, trainings)
        told += result.p < 0.05 and min(holm([effect.p for effect in result.effects])) < 0.05
    assert low <= told / STUDIES <= high


@pytest.mark.parametrize(("size", "low", "high"), [(0.0, 0.0, 0.1), (-0.5, 0.85, 1.0)])
def test_depth_counts_only_where_it_does_more_than_make_a_worse_classifier(size, low, high):
    dice, told = np.random.default_rng(5), 0
    for _ in range(STUDIES):
        accuracies, rates, at, trainings = simulated(dice, 4, (0.6, 0.85), lambda point: size * point, 0.08)
        result = at_equal_accuracy(accuracies, rates, at, trainings)
        told += result.p < 0.05 and result.effects[0].p < 0.05
    assert low <= told / STUDIES <= high


def test_what_cannot_be_told_is_none():
    same = [0.5, 0.6, 0.7, 0.8]
    rates = np.random.default_rng(0).random((4, 5))
    assert at_equal_accuracy(same, rates, ndtri(same), range(4)) is None  # says what the accuracy says
    assert at_equal_accuracy([0.5] * 4, rates, [0, 1, 2, 3], range(4)) is None  # one accuracy
    assert at_equal_accuracy(same[:3], rates[:3], [0, 1, 0], range(3)) is None  # too few trainings
    with pytest.raises(ValueError, match=r"as many checkpoints each; got \[1, 3\]"):
        at_equal_accuracy(same, rates, [0, 1, 0, 1], "aaab")


@pytest.mark.parametrize(
    "rates_at", [lambda accuracy: 0.0, lambda accuracy: 1.0, lambda accuracy: accuracy > 0.6]
)
def test_where_the_accuracy_says_all_of_the_rates_nothing_is_told(rates_at):
    """Residuals are rounding noise then, of which a regression makes whatever it likes."""
    dice = np.random.default_rng(3)
    for _ in range(STUDIES):
        levels = np.tile([0.5, 0.7], 6)
        near = levels + 0.03 * dice.standard_normal(12) * (rates_at(0.5) == rates_at(0.7))
        rates = np.repeat([[float(rates_at(accuracy))] for accuracy in levels], PEOPLE, axis=1)
        assert at_equal_accuracy(near, rates, np.arange(12) // 6, np.arange(12) // 2) is None


def test_trainings_that_are_all_alike_count_themselves():
    """The regressor explains nothing of them, in whatever order they are."""
    dice = np.random.default_rng(4)
    for _ in range(STUDIES):
        accuracies, rates = np.tile(dice.random(3), 8), np.tile(dice.random((3, 5)), (8, 1))
        result = at_equal_accuracy(accuracies, rates, np.arange(24) // 12, np.arange(24) // 3)
        assert result.p == 1.0
