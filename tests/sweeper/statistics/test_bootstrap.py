import numpy as np
import pytest

from sweeper.statistics.bootstrap import by_identities, by_intervals, estimates, hypervolumes
from sweeper.statistics.hypervolume import hypervolume

DIRECTIONS, REFERENCE = ["maximize", "minimize"], [0.0, 1.0]


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["minimize", "minimize"]])
def test_hypervolumes_of_many_tables_are_those_of_each(directions):
    tables = np.random.default_rng(0).random((40, 15, 2))
    tables[3, 4, 1] = np.nan
    tables[5, :, 0] = 0.5
    reference = [0.2 if d == "maximize" else 0.8 for d in directions]
    expected = [hypervolume(table, directions, reference) for table in tables]
    assert hypervolumes(tables, directions, reference) == pytest.approx(expected, abs=1e-12)
    assert hypervolumes(tables[:, :0], directions, reference).tolist() == [0.0] * 40


def test_three_objectives_are_computed_one_by_one():
    tables, reference = np.random.default_rng(1).random((4, 9, 3)), [1.0, 1.0, 1.0]
    expected = [hypervolume(table, ["minimize"] * 3, reference) for table in tables]
    assert hypervolumes(tables, ["minimize"] * 3, reference) == pytest.approx(expected)


def test_one_trial_has_the_spread_of_its_mean():
    rates = np.random.default_rng(2).integers(0, 3, (1, 50)) / 2
    table = [[0.8, rates.mean()]]
    (found,) = estimates([by_identities(table, 1, rates, draws=4000)], lambda t: t[:, 0, 1])
    error = rates[0].std(ddof=1) / np.sqrt(50)
    assert found.measured == rates.mean()
    assert found.corrected == pytest.approx(rates.mean(), abs=0.1 * error)  # one trial has no luck to lose
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.06)


def test_all_trials_get_the_same_identities():
    rates = np.random.default_rng(3).integers(0, 3, (1, 30)) / 2
    both = np.concatenate([rates, rates])
    table = np.array([[0.8, rates.mean()], [0.7, rates.mean()]])
    drawn = by_identities(table, 1, both, draws=50)
    assert drawn.once[:, 0, 1] == pytest.approx(drawn.once[:, 1, 1], abs=1e-12)
    assert drawn.twice[:, 0, 1] == pytest.approx(drawn.twice[:, 1, 1], abs=1e-12)
    assert (drawn.once[:, :, 0] == table[:, 0]).all()  # what has no spread stays
    other = by_identities(table[:1], 1, rates, draws=50)  # another study, the same people
    assert other.once[:, 0] == pytest.approx(drawn.once[:, 0], abs=1e-12)


def test_errors_over_seeds_add_to_those_over_identities():
    rates = np.full((1, 20), 0.5)
    drawn = by_identities([[0.8, 0.5]], 1, rates, [0.02, 0.03], draws=4000)
    assert drawn.once[:, 0].std(axis=0) == pytest.approx([0.02, 0.03], rel=0.1)
    assert drawn.twice[:, 0].std(axis=0) == pytest.approx(np.sqrt(2) * np.array([0.02, 0.03]), rel=0.1)


def test_intervals_give_their_own_spread():
    ends = np.full((1, 2, 2), np.nan)
    ends[0, 1] = 0.4, 0.6
    drawn = by_intervals([[0.8, 0.5]], ends, draws=4000)
    (found,) = estimates([drawn], lambda t: t[:, 0, 1])
    assert (found.low, found.high) == (pytest.approx(0.4, abs=0.01), pytest.approx(0.6, abs=0.01))
    assert (drawn.once[:, 0, 0] == 0.8).all()
    ends[0, 1] = 0.0, 0.2
    assert by_intervals([[0.8, 0.05]], ends, draws=1000).once[:, 0, 1].min() == 0.0  # a share stays one


def test_the_luck_of_the_front_is_taken_off():
    dice = np.random.default_rng(4)
    measured, corrected, truth = [], [], []
    for _ in range(40):
        accuracy = dice.uniform(0.3, 0.95, 15)
        real = 0.1 + 0.5 * accuracy + dice.uniform(0, 0.1, 15)
        rates = (dice.random((15, 40)) < real[:, None]).astype(float)
        drawn = by_identities(np.stack([accuracy, rates.mean(axis=1)], axis=1), 1, rates, draws=200)
        (found,) = estimates([drawn], lambda t: hypervolumes(t, DIRECTIONS, REFERENCE))
        measured.append(found.measured)
        corrected.append(found.corrected)
        truth.append(hypervolume(np.stack([accuracy, real], axis=1), DIRECTIONS, REFERENCE))
    luck = np.mean(measured) - np.mean(truth)
    assert luck > 0.01
    assert abs(np.mean(corrected) - np.mean(truth)) < luck / 2


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    dice = np.random.default_rng(5)
    held = 0
    for _ in range(100):
        accuracy = np.linspace(0.3, 0.95, 10)
        truth = 0.1 + 0.6 * accuracy**2
        hard = dice.normal(0, 0.15, 80)  # some people are easier to reconstruct than others, in every trial
        chance = np.clip(truth[:, None] + hard, 0, 1)
        rates = (dice.random((10, 80)) < chance).astype(float)
        drawn = by_identities(np.stack([accuracy, rates.mean(axis=1)], axis=1), 1, rates, draws=100)
        (found,) = estimates([drawn], lambda t: hypervolumes(t, DIRECTIONS, REFERENCE))
        real = hypervolume(np.stack([accuracy, truth], axis=1), DIRECTIONS, REFERENCE)
        held += found.low <= real <= found.high
    assert 0.88 <= held / 100 <= 1.0


def test_a_difference_is_sure_if_the_same_people_show_it():
    dice = np.random.default_rng(6)
    hard = dice.uniform(0, 1, 60)
    a, b = (hard < 0.5).astype(float)[None], (hard < 0.6).astype(float)[None]
    drawn = [by_identities([[0.9, rates.mean()]], 1, rates) for rates in (a, b)]

    def lead(x, y):
        return hypervolumes(x, DIRECTIONS, REFERENCE) - hypervolumes(y, DIRECTIONS, REFERENCE)

    (paired,) = estimates(drawn, lead)
    (alone,) = estimates([drawn[0], by_identities([[0.9, b.mean()]], 1, b, seed=1)], lead)
    assert paired.measured == pytest.approx(0.9 * (b.mean() - a.mean()))
    assert paired.low > 0
    assert alone.high - alone.low > 1.5 * (paired.high - paired.low)


@pytest.mark.parametrize("people", [1, 40])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_where_no_two_people_differ_those_who_were_not_attacked_are_in_the_interval(people, rate):
    rates = np.full((1, people), rate)
    drawn = by_identities([[0.8, rate]], 1, rates)
    (found,) = estimates([drawn], lambda t: t[:, 0, 1])
    bound = 1 - 0.05 ** (1 / people)
    assert (found.measured, found.corrected) == (rate, rate)
    assert [found.low, found.high] == pytest.approx([rate - bound, rate + bound])
    volume = estimates([drawn], lambda t: hypervolumes(t, DIRECTIONS, REFERENCE))[0]
    assert volume.high - volume.low == pytest.approx(2 * 0.8 * bound)


def test_a_difference_from_a_front_on_which_nobody_was_found_holds_its_bound():
    nobody = by_identities([[0.8, 0.0]], 1, np.zeros((1, 40)))
    (own,) = estimates([nobody, nobody], lambda a, b: (a - b)[:, 0, 1])
    assert [own.low, own.high] == pytest.approx([-(1 - 0.05 ** (1 / 40)), 1 - 0.05 ** (1 / 40)])


@pytest.mark.parametrize("truth", [0.01, 0.03, 0.5, 0.97])
def test_rates_near_nobody_and_everybody_are_covered(truth):
    dice, held, people = np.random.default_rng(5), 0, 40
    for _ in range(150):
        rates = (dice.random((1, people)) < truth).astype(float)
        drawn = by_identities([[0.8, rates.mean()]], 1, rates, draws=100)
        (found,) = estimates([drawn], lambda t: t[:, 0, 1])
        held += found.low <= truth <= found.high
    assert held >= 135
