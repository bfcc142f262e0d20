"""Cross-fitted fronts against sums written out, and against studies whose truth is known."""

import dataclasses
from statistics import NormalDist

import numpy as np
import pytest
from simulated_studies import REGIMES, SEEDS

from sweeper.statistics.cross_fitting import (
    Halves,
    SeedNoise,
    attained,
    attained_figures,
    cross_fit,
    difference_figure,
    figure,
    halves,
    hypervolume_figure,
    hypervolumes,
    level_of_pairs,
    policy_value,
)
from sweeper.statistics.hypervolume import hypervolume

DIRECTIONS = ["maximize", "minimize"]


def random_studies(seed, draws=5, count=9):
    dice = np.random.default_rng(seed)
    # Few different values, so that ties happen.
    return dice.integers(0, 8, (draws, count)) / 8, dice.integers(0, 8, (draws, count)) / 8


def staircase(accuracies, rates):
    """Return the members of one front, the lowest accuracy first."""
    members = []
    for k in range(len(rates)):
        beaten = any(
            accuracies[j] >= accuracies[k]
            and rates[j] <= rates[k]
            and ((accuracies[j], -rates[j]) != (accuracies[k], -rates[k]) or j < k)
            for j in range(len(rates))
            if j != k
        )
        if not beaten:
            members.append(k)
    return sorted(members, key=lambda k: accuracies[k])


@pytest.mark.parametrize("seed", range(8))
def test_a_policy_valued_by_those_who_chose_it_is_the_hypervolume(seed):
    accuracies, rates = random_studies(seed)
    volumes = [
        hypervolume(np.stack([a, r], 1), DIRECTIONS, [0.0, 1.0])
        for a, r in zip(accuracies, rates, strict=True)
    ]
    np.testing.assert_allclose(
        policy_value((accuracies, rates), (accuracies, rates)), volumes, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_other_half_values_the_members_that_the_first_one_chose(seed):
    chosen_by, valued_by = random_studies(seed), random_studies(seed + 100)
    values = policy_value(chosen_by, valued_by)
    for row in range(len(values)):
        below, total = 0.0, 0.0
        for k in staircase(chosen_by[0][row], chosen_by[1][row]):
            total += (valued_by[0][row, k] - below) * (1 - valued_by[1][row, k])
            below = valued_by[0][row, k]
        assert values[row] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("count", [4, 5, 40, 213])
def test_halves_share_nobody_leave_out_nobody_and_stay_the_same(count):
    first, second = halves(count)
    assert sorted([*first, *second]) == list(range(count))
    assert abs(len(first) - len(second)) <= 1
    assert all((a == b).all() for a, b in zip((first, second), halves(count), strict=True))
    if count > 5:  # not merely the first ones and the rest: people come sorted
        assert set(first) != set(range(len(first)))


def test_what_is_measured_are_the_means_of_the_halves():
    dice = np.random.default_rng(0)
    rates, correct = dice.random((3, 11)), dice.random((3, 8))
    study = cross_fit(rates, correct, draws=2)
    for side in (0, 1):
        np.testing.assert_allclose(study.measured.rates[side, 0], rates[:, halves(11)[side]].mean(1))
        np.testing.assert_allclose(study.measured.accuracies[side, 0], correct[:, halves(8)[side]].mean(1))


def test_draws_spread_as_means_of_other_people_and_images_do():
    dice = np.random.default_rng(1)
    rates, correct = dice.random((1, 40)), dice.random((1, 60))
    study = cross_fit(rates, correct, draws=20_000)
    for drawn, table in ((study.drawn.rates, rates), (study.drawn.accuracies, correct)):
        for side, half in enumerate(halves(table.shape[1])):
            expected = table[0, half].std(ddof=1) / np.sqrt(len(half))
            assert drawn[side, :, 0].std() == pytest.approx(expected, rel=0.03)
            assert drawn[side, :, 0].mean() == pytest.approx(table[0, half].mean(), abs=4 * expected / 100)


def test_people_are_drawn_the_same_for_all_trials_and_for_two_studies():
    dice = np.random.default_rng(2)
    rates, correct = np.tile(dice.random(30), (2, 1)), np.tile(dice.random(30), (2, 1))
    first = cross_fit(rates, correct, draws=50, seed=3)
    again = cross_fit(rates, correct, draws=50, seed=3)
    other = cross_fit(rates, correct, draws=50, seed=4)
    assert (first.drawn.rates[:, :, 0] == first.drawn.rates[:, :, 1]).all()
    assert (first.drawn.rates == again.drawn.rates).all()
    assert (first.drawn.accuracies == again.drawn.accuracies).all()
    assert not (first.drawn.rates == other.drawn.rates).all()


def test_noise_of_seeds_is_on_the_probit_scale_and_the_same_for_both_halves():
    rates, correct = np.full((1, 20), 0.3), np.full((1, 20), 0.8)
    study = cross_fit(rates, correct, noise=SeedNoise(probit=0.2, accuracy=0.03), draws=20_000)
    normal = NormalDist()
    scores = np.array([normal.inv_cdf(rate) for rate in study.drawn.rates[0, :2000, 0]])
    assert scores.std() == pytest.approx(0.2, rel=0.08)
    assert scores.mean() == pytest.approx(normal.inv_cdf(0.3), abs=0.02)
    assert study.drawn.accuracies[0].std() == pytest.approx(0.03, rel=0.05)
    np.testing.assert_allclose(study.drawn.rates[0], study.drawn.rates[1])
    np.testing.assert_allclose(study.drawn.accuracies[0], study.drawn.accuracies[1])


def test_a_mean_over_seeds_varies_less():
    rates, correct = np.full((2, 20), 0.3), np.full((2, 20), 0.8)
    noise = SeedNoise(probit=0.2, accuracy=0.03)
    study = cross_fit(rates, correct, noise=noise, seeds=[1, 4], draws=20_000)
    accuracies, scores = study.drawn.accuracies[0].std(axis=0), study.drawn.rates[0].std(axis=0)
    assert accuracies[0] / accuracies[1] == pytest.approx(2, rel=0.05)
    assert scores[0] / scores[1] == pytest.approx(2, rel=0.05)


def test_a_rate_of_zero_moves_as_a_quarter_of_a_person_does():
    study = cross_fit(np.zeros((1, 25)), np.ones((1, 20)), noise=SeedNoise(probit=0.5), draws=4000)
    expected = NormalDist().inv_cdf(0.25 / 25)
    assert NormalDist().inv_cdf(float(np.median(study.drawn.rates))) == pytest.approx(expected, abs=0.05)


def test_seeds_of_two_studies_are_not_shared():
    rates, correct = np.full((3, 20), 0.3), np.full((3, 20), 0.8)
    noise = SeedNoise(probit=0.2, accuracy=0.03)
    one, two = (cross_fit(rates, correct, noise=noise, draws=50, seed_of_noise=k) for k in (1, 2))
    assert not (one.drawn.rates == two.drawn.rates).any()


@pytest.mark.parametrize("level", [0.2, 0.5, 0.8])
def test_what_is_attained_is_chosen_by_one_half_and_read_off_the_other(level):
    accuracies, rates = (np.stack(pair) for pair in zip(random_studies(5), random_studies(6), strict=True))
    measured = attained(Halves(accuracies=accuracies, rates=rates), level)
    for row in range(accuracies.shape[1]):
        values = []
        for chooses, judges in ((0, 1), (1, 0)):
            reaching = [k for k in range(9) if accuracies[chooses, row, k] >= level]
            best = min(reaching, key=lambda k: rates[chooses, row, k], default=None)
            values.append(np.nan if best is None else rates[judges, row, best])
        np.testing.assert_allclose(measured[row], np.mean(values))


def test_a_level_that_nobody_reaches_has_no_figure():
    study = cross_fit(np.full((2, 8), 0.5), np.full((2, 8), 0.4), draws=20)
    assert attained_figures(study, [0.3, 0.9])[1] is None
    assert attained_figures(study, [0.3, 0.9])[0].value == pytest.approx(0.5)


def test_a_figure_has_the_draws_spread_around_what_was_measured():
    draws = np.array([0.1, 0.2, 0.3, 0.6])
    result = figure(0.5, draws)
    half = 1.959963984540054 * draws.std(ddof=1)
    assert (result.value, result.low, result.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    assert result.above == 1.0
    assert figure(0.05, draws).above == pytest.approx(0.5)  # moved to -.15, -.05, .05, .35
    assert figure(np.nan, draws) is None
    assert figure(0.5, np.array([0.1, np.nan, np.nan, np.nan])) is None


@pytest.mark.parametrize(("studies", "pairs"), [(1, 1), (2, 1), (3, 3), (6, 15)])
def test_an_interval_among_several_studies_is_as_wide_as_its_pairs_ask(studies, pairs):
    level, draws = level_of_pairs(studies), np.array([0.1, 0.2, 0.3, 0.6])
    assert 1 - level == pytest.approx(0.05 / pairs)
    half = NormalDist().inv_cdf(1 - 0.025 / pairs) * draws.std(ddof=1)
    result = figure(0.5, draws, level)
    assert (result.low, result.high) == pytest.approx((0.5 - half, 0.5 + half))
    dice = np.random.default_rng(4)
    one, two = (cross_fit(dice.random((2, 20)), dice.random((2, 30)), draws=50) for _ in range(2))
    ratio = NormalDist().inv_cdf(1 - 0.025 / pairs) / NormalDist().inv_cdf(0.975)
    wide, plain = difference_figure(one, two, level), difference_figure(one, two)
    assert wide.high - wide.value == pytest.approx(ratio * (plain.high - plain.value))
    assert (wide.value, wide.above) == (plain.value, plain.above)


@pytest.mark.parametrize(("rate", "people"), [(0.02, 40), (0.05, 40), (0.01, 214), (0.98, 40)])
def test_where_nobody_or_everybody_was_found_the_interval_holds_what_may_be(rate, people):
    """Draws of nobody do not spread: without the bound 36 % of the first row's intervals were points."""
    dice, covered, rounds = np.random.default_rng(1), 0, 100
    for _ in range(rounds):
        rates = (dice.random((3, people)) < rate).astype(float)
        correct = (dice.random((3, 240)) < 0.85).astype(float)
        (found,) = attained_figures(cross_fit(rates, correct, draws=100), [0.6])
        covered += found.low <= rate <= found.high
    assert covered / rounds >= 0.9


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_hypervolume_of_rates_that_do_not_spread_is_no_more_certain_than_people_allow(rate):
    correct = np.random.default_rng(1).random((3, 240)) < 0.85
    bound = 1 - 0.05 ** (1 / 40)  # Clopper and Pearson's, of nobody found
    study, other = (cross_fit(np.full((n, 40), rate), correct[:n], draws=100) for n in (3, 2))
    # A rate of r that everybody has leaves 1 - r of the accuracy that halves choose.
    accuracy = hypervolume_figure(cross_fit(np.zeros((3, 40)), correct, draws=100)).value
    for found in (hypervolume_figure(study), difference_figure(study, other)):
        assert found.high - found.low >= 2 * bound * accuracy - 1e-9
    spread = np.tile([1.0, 1.0, 1.0, 0.0], (3, 10))  # these say themselves how far they may be off
    seen, narrow = (hypervolume_figure(cross_fit(s, correct, draws=100)) for s in (spread, spread * 0.1))
    assert seen.high - seen.low > 2 * bound > narrow.high - narrow.low


@pytest.mark.parametrize("noise", [None, SeedNoise(probit=0.05, accuracy=0.001)])
def test_nobody_found_on_one_trial_is_uncertain_beside_others_and_with_noise(noise):
    """Of those studies in which nobody was found, as happens in one of five at a rate of 0.04."""
    dice, rounds, held = np.random.default_rng(7), 60, 0
    truth = 0.85 * (1 - 0.04) + 0.05 * (1 - 0.6)
    for _ in range(rounds):
        people = np.stack([dice.random(40) < 0.6, np.zeros(40)]).astype(float)
        correct = (dice.random((2, 2000)) < [[0.9], [0.85]]).astype(float)
        own = hypervolume_figure(cross_fit(people, correct, noise=noise, draws=100))
        held += own.low <= truth <= own.high
    assert held >= 0.9 * rounds


def test_noise_of_seeds_makes_no_interval_narrower():
    correct = np.random.default_rng(1).random((3, 240)) < 0.85
    widths = []
    for noise in (None, SeedNoise(probit=0.2)):
        own = hypervolume_figure(cross_fit(np.zeros((3, 40)), correct, noise=noise, draws=100))
        widths.append(own.high - own.low)
    assert widths[1] >= 0.9 * widths[0]  # up to the luck of 100 draws


def test_too_few_people_are_refused():
    with pytest.raises(ValueError, match="at least 4 people; got 3"):
        cross_fit(np.zeros((1, 3)), np.zeros((1, 9)))
    with pytest.raises(ValueError, match="at least 4 test images; got 2"):
        cross_fit(np.zeros((1, 9)), np.zeros((1, 2)))


@pytest.mark.parametrize("regime", [REGIMES[0], REGIMES[1]], ids=lambda regime: regime.name)
def test_intervals_cover_the_truth_and_equal_recipes_are_not_called_different(regime):
    """Sixty pairs of studies; below 51 of 60 has a chance of one in ten thousand at a coverage of .95."""
    noisy = dataclasses.replace(regime, **SEEDS)
    covered = different = 0
    for number in range(60):
        dice = np.random.default_rng([11, number])
        population = noisy.population(dice)
        studies = [
            cross_fit(
                *noisy.measure(population, dice),
                noise=SeedNoise(**SEEDS),
                draws=100,
                seed=number,
                seed_of_noise=k,
            )
            for k in (1, 2)
        ]
        result, lead = hypervolume_figure(studies[0]), difference_figure(*studies)
        covered += result.low <= noisy.hypervolume() <= result.high
        different += lead.low > 0 or lead.high < 0
    assert covered >= 51
    assert different <= 6


def test_a_study_that_is_truly_better_is_told():
    weak = dataclasses.replace(REGIMES[1], low=0.05, high=0.5)
    strong = dataclasses.replace(REGIMES[1], low=0.5, high=0.95)
    dice = np.random.default_rng(0)
    population = weak.population(dice)
    lead = difference_figure(
        cross_fit(*weak.measure(population, dice)), cross_fit(*strong.measure(population, dice))
    )
    assert lead.low > 0
    assert lead.above > 0.99


def test_the_value_does_not_rise_with_the_number_of_equal_trials():
    """Forty trials that are all alike: the front's own hypervolume is luck, the cross-fitted one is not."""
    truth, values, naive = 0.8 * 0.8, [], []
    for number in range(40):
        dice = np.random.default_rng([3, number])
        rates, correct = (
            (dice.random((40, 40)) < 0.2).astype(float),
            (dice.random((40, 60)) < 0.8).astype(float),
        )
        values.append(hypervolumes(cross_fit(rates, correct, draws=2).measured)[0])
        table = np.stack([correct.mean(1), rates.mean(1)], 1)
        naive.append(hypervolume(table, DIRECTIONS, [0.0, 1.0]))
    assert np.mean(naive) > truth + 0.1
    assert np.mean(values) == pytest.approx(truth, abs=0.02)
