"""Contrasts: the formula written out, and simulated studies whose truth is known."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import t as student

from sweeper.statistics.contrasts import Term, contrast, holm, seed_noise
from sweeper.statistics.paired import paired_test
from sweeper.statistics.seed_noise import PooledNoise

NORMAL = NormalDist()
PEOPLE, SEEDS, STUDIES = 40, 3, 120


def test_variances_of_people_and_seeds_add_up():
    dice = np.random.default_rng(3)
    first, second = dice.random((2, 30)), dice.random((2, 30)) * 0.6
    noises = (
        PooledNoise(probit=0.2, accuracy=0.0, freedom=5),
        PooledNoise(probit=0.1, accuracy=0.0, freedom=7),
    )
    result = contrast(
        [Term(weight=1.0, rates=first, noise=noises[0]), Term(weight=-0.5, rates=second, noise=noises[1])]
    )
    own = first.mean(axis=0) - 0.5 * second.mean(axis=0)
    parts = [(own.var(ddof=1) / 30, 29)]
    for weight, rates, noise in ((1.0, first, noises[0]), (0.5, second, noises[1])):
        density = NORMAL.pdf(NORMAL.inv_cdf(rates.mean()))
        parts.append(((weight * density * noise.probit) ** 2 / 2, noise.freedom))
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    reach = student.ppf(0.975, freedom) * math.sqrt(variance)
    assert result.difference == pytest.approx(own.mean())
    assert (result.low, result.high) == pytest.approx((own.mean() - reach, own.mean() + reach))
    wanted = 2 * student.sf(abs(own.mean()) / math.sqrt(variance), freedom)
    exact = paired_test(first.mean(axis=0), 0.5 * second.mean(axis=0)).p
    assert result.p == pytest.approx(max(wanted, exact))


def test_a_noise_that_terms_share_is_one_estimate():
    """Its degrees of freedom count once, however many terms there are."""
    dice = np.random.default_rng(4)
    tables = [dice.random((2, 500)) for _ in range(4)]
    noise = PooledNoise(probit=0.5, accuracy=0.0, freedom=2)
    weights = (1.0, -1.0, -1.0, 1.0)
    terms = [Term(weight=w, rates=rates, noise=noise) for w, rates in zip(weights, tables, strict=True)]
    result = contrast(terms)
    own = sum(w * rates.mean(axis=0) for w, rates in zip(weights, tables, strict=True))
    people, seeds = own.var(ddof=1) / 500, sum(term.seed_variance for term in terms)
    freedom = (people + seeds) ** 2 / (people**2 / 499 + seeds**2 / 2)
    reach = student.ppf(0.975, freedom) * math.sqrt(people + seeds)
    assert (result.low, result.high) == pytest.approx((own.mean() - reach, own.mean() + reach))


def test_what_few_people_show_is_no_more_than_the_exact_test_carries():
    rates = np.zeros((3, 60))
    rates[:, :4] = 1.0
    noise = PooledNoise(probit=1e-6, accuracy=0.0, freedom=8)
    pair = [Term(weight=w, rates=r, noise=noise) for w, r in ((1.0, rates), (-1.0, np.zeros((3, 60))))]
    assert contrast(pair).p == pytest.approx(0.125)  # four of sixty against nobody


def test_without_seeds_nothing_is_claimed():
    first, second = np.ones((1, 50)), np.zeros((1, 50))
    result = contrast(
        [Term(weight=1.0, rates=first, noise=None), Term(weight=-1.0, rates=second, noise=None)]
    )
    assert (result.difference, result.p, result.holds_seeds) == (1.0, 1.0, False)
    assert seed_noise([first, second]) is None


def test_equal_targets_have_no_difference():
    noise = PooledNoise(probit=0.0, accuracy=0.0, freedom=4)
    rates = np.full((3, 10), 0.5)
    result = contrast([Term(weight=w, rates=rates, noise=noise) for w in (1.0, -1.0)])
    assert (result.difference, result.p) == (0.0, 1.0)
    bound = 1 - 0.05 ** (1 / 10)  # of ten people alike, this share may still be others
    assert (result.low, result.high) == pytest.approx((-bound, bound))


def test_other_people_are_refused():
    with pytest.raises(ValueError, match="same people"):
        contrast([Term(weight=1.0, rates=np.ones((2, n)), noise=None) for n in (3, 4)])


@pytest.mark.parametrize(("effect", "low", "high"), [(0.0, 0.0, 0.08), (-0.8, 0.8, 1.0)])
def test_three_targets_against_one_are_told_apart_where_they_differ(effect, low, high):
    dice, told = np.random.default_rng(1), 0
    for _ in range(STUDIES):
        faces = 0.8 * dice.standard_normal(PEOPLE)

        def target(level, faces=faces):
            scores = level + 0.2 * dice.standard_normal((SEEDS, 1)) + faces
            return dice.binomial(2, ndtr(scores)) / 2

        targets = [target(0.0), *(target(effect) for _ in range(3))]
        noise = seed_noise(targets)
        first = Term(weight=1.0, rates=targets[0], noise=noise)
        tests = [contrast([first, Term(weight=-1.0, rates=other, noise=noise)]) for other in targets[1:]]
        told += min(holm([test.p for test in tests])) < 0.05
    assert low <= told / STUDIES <= high


def test_p_values_are_adjusted_step_by_step():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_two_targets_of_two_seeds_are_called_different_no_more_often_than_said():
    """One estimate of the noise from two deviations: what its freedom counts for decides."""
    dice, told, studies = np.random.default_rng(2), 0, 400
    for _ in range(studies):
        faces = 0.8 * dice.standard_normal(214)
        levels = [0.3 * dice.standard_normal((2, 1)) for _ in range(2)]
        targets = [dice.binomial(2, ndtr(level + faces)) / 2 for level in levels]
        noise = seed_noise(targets)
        terms = [
            Term(weight=w, rates=rates, noise=noise) for w, rates in zip((1.0, -1.0), targets, strict=True)
        ]
        told += contrast(terms).p < 0.05
    assert told / studies < 0.095  # counted twice, 0.12
