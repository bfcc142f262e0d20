import numpy as np
import pytest
from records import as_trial
from scipy.stats import norm
from scipy.stats import t as student

from sweeper.results.comparing import resample as module
from sweeper.results.comparing.resample import redraw, seed_errors
from sweeper.statistics.cross_fitting import attained_figures, difference_figure, halves, hypervolume_figure
from sweeper.statistics.seed_noise import PooledNoise

OBJECTIVES = ["test_accuracy", "attack_accuracy"]


def trial(accuracy, attacked, **changes):
    return as_trial({"values": {"test_accuracy": accuracy, "attack_accuracy": attacked}, **changes})


def replicates(points):
    return [
        {"replicate": seed, "values": dict(zip(OBJECTIVES, point, strict=True))}
        for seed, point in enumerate(points)
    ]


def interval(low, high):
    return {"interval": {"attack_accuracy": [low, high]}}


def test_stored_verdicts_are_preferred(monkeypatch):
    rates = [np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0])]
    monkeypatch.setattr(module, "per_identity", lambda trials: rates)
    trials = [trial(0.9, 0.5, **interval(0.1, 0.9)), trial(0.8, 0.25, **interval(0.0, 0.8))]
    found = redraw(trials, OBJECTIVES)
    assert (found.basis, found.held) == ("identities", ("test accuracy",))
    assert found.seedless == tuple(OBJECTIVES)
    assert found.tables.measured.tolist() == [[0.9, 0.5], [0.8, 0.25]]
    assert found.tables.once[:, 0, 1].std() > 0


@pytest.mark.parametrize(
    "rates",
    [[None, np.array([0.5])], [np.array([0.5]), np.array([0.0, 0.5])]],
    ids=["one missing", "unequal"],
)
def test_without_all_verdicts_intervals_are_drawn_from(monkeypatch, rates):
    monkeypatch.setattr(module, "per_identity", lambda trials: rates)
    found = redraw([trial(0.9, 0.5, **interval(0.4, 0.6)), trial(0.8, 0.25)], OBJECTIVES)
    assert found.basis == "intervals"
    assert found.held == ("test accuracy", "attack accuracy of 1 of 2 trials")
    assert (found.tables.once[:, 1] == [0.8, 0.25]).all()  # no interval, no spread
    assert found.tables.once[:, 0, 1].std() == pytest.approx(0.1 / 1.96, rel=0.1)


def test_nothing_known_is_nothing_drawn():
    assert redraw([trial(0.9, 0.5)], OBJECTIVES) is None
    assert redraw([], OBJECTIVES) is None


def test_the_error_over_seeds_is_pooled():
    groups = [[(0.9, 0.5), (0.8, 0.3)], [(0.5, 0.1), (0.7, 0.1), (0.6, 0.1)], [(0.4, 0.4)]]
    trials = [trial(0, 0, replicates=replicates(group)) for group in groups]
    squares = sum(np.var(np.array(group), axis=0, ddof=0) * len(group) for group in groups)
    pooled = np.sqrt(squares / (1 + 2) / 2.5)  # degrees of freedom; seeds a trial, of those with several
    assert seed_errors(trials, OBJECTIVES) == pytest.approx(pooled)
    assert seed_errors([trial(0.9, 0.5)], OBJECTIVES) is None


def test_replicates_add_their_seeds_to_the_identities(monkeypatch):
    monkeypatch.setattr(module, "per_identity", lambda trials: [np.full(10, 0.5)])
    seeds = replicates([(0.9, 0.6), (0.7, 0.4)])
    found = redraw([trial(0.8, 0.5, replicates=seeds)], OBJECTIVES)
    assert (found.basis, found.seedless) == ("identities and seeds", ())
    assert found.held == ("test accuracy but for training seeds",)
    assert found.tables.once[:, 0].std(axis=0) == pytest.approx([0.1, 0.1], rel=0.1)  # 0.2 / sqrt 2 / sqrt 2


WORST = {"test_accuracy": 0.0, "attack_accuracy": 1.0}
WAYS = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


@pytest.fixture
def known(monkeypatch):
    """Make the store know of each trial whom it gave away and which images it got right."""

    def make(people, images):
        monkeypatch.setattr(module, "per_identity", lambda trials: [people[trial.number] for trial in trials])
        monkeypatch.setattr(module, "per_image", lambda trials: [images[trial.number] for trial in trials])

    return make


def numbered(count, **changes):
    return [as_trial({"number": n, "values": {}, **changes}) for n in range(count)]


def flags(dice, share, count):
    return (dice.random(count) < share).astype(float)


def test_fronts_are_cross_fitted_where_people_and_images_are_known(known):
    dice = np.random.default_rng(0)
    people, images = [flags(dice, 0.3, 20) for _ in range(3)], [flags(dice, 0.8, 30) for _ in range(3)]
    known(people, images)
    first, second = module.cross_fitted([numbered(3), numbered(2)], WAYS, WORST)
    half = halves(20)[0]
    assert first.draws.measured.rates[0, 0] == pytest.approx([person[half].mean() for person in people])
    assert second.draws.measured.rates.shape == (2, 1, 2)
    assert (first.draws.drawn.rates[:, :, :2] == second.draws.drawn.rates).all()
    apart = module.cross_fitted([numbered(3), numbered(2)], WAYS, WORST, paired=False)
    assert not (apart[0].draws.drawn.rates[:, :, :2] == apart[1].draws.drawn.rates).all()


@pytest.mark.parametrize(
    ("ways", "worst", "trials", "missing"),
    [
        (WAYS | {"knn_distance": "maximize"}, WORST, 2, False),
        (WAYS, WORST | {"test_accuracy": 0.5}, 2, False),
        (WAYS, WORST, 0, False),
        (WAYS, WORST, 2, True),
    ],
    ids=["another objective", "another reference point", "no trial", "a trial without files"],
)
def test_other_studies_are_not_cross_fitted(known, ways, worst, trials, missing):
    known([np.ones(9), None if missing else np.ones(9)], [np.ones(9)] * 2)
    assert module.cross_fitted([numbered(trials)], ways, worst) is None


def test_the_noise_that_a_study_knows_is_drawn_as_far_as_students_interval_reaches(known):
    people, images = [np.full(20, 0.3)] * 2, [np.full(30, 0.8)] * 2
    known(people, images)
    noise = PooledNoise(probit=0.1, accuracy=0.02, freedom=4)
    (study,) = module.cross_fitted([numbered(2)], WAYS, WORST, noises=[noise])
    assert (study.basis, study.held, study.seedless) == ("people, images and seeds", (), ())
    deviation = student.ppf(0.975, 4) / norm.ppf(0.975) * 0.02
    assert study.draws.drawn.accuracies[0].std() == pytest.approx(deviation, rel=0.08)


def test_paired_studies_share_what_is_known_of_seeds_and_others_do_not(known):
    known([np.full(20, 0.3)] * 3, [np.full(30, 0.8)] * 3)
    noise = PooledNoise(probit=0.1, accuracy=0.02, freedom=4)
    studies = [numbered(3), numbered(2)]
    paired = module.cross_fitted(studies, WAYS, WORST, noises=[None, noise])
    assert [study.basis for study in paired] == ["people, images and seeds"] * 2
    apart = module.cross_fitted(studies, WAYS, WORST, noises=[None, noise], paired=False)
    assert [study.basis for study in apart] == ["people and images", "people, images and seeds"]


@pytest.mark.parametrize(
    ("basis", "holds"),
    [
        ("people and images", False),
        ("people, images and seeds", True),
        ("intervals", False),
        ("intervals with seeds", True),
        ("intervals with seeds against intervals", False),
        ("identities and seeds against people, images and seeds", True),
    ],
)
def test_which_intervals_hold_seeds(basis, holds):
    assert module.holds_seeds(basis) == holds
    assert all(part in module.BASES for part in basis.split(" against "))


@pytest.mark.parametrize(
    ("basis", "fits"),
    [
        ("people and images", True),
        ("people, images and seeds", True),
        ("people, images and seeds against people and images", True),
        ("identities and seeds", False),
        ("intervals with seeds", False),
        ("people, images and seeds against intervals with seeds", False),
    ],
)
def test_which_intervals_are_of_fronts_valued_on_other_data(basis, fits):
    assert module.cross_fits(basis) == fits


NOISE = PooledNoise(probit=0.1, accuracy=0.02, freedom=4)
VERIFIED = "attack_accuracy_verified"


def ends(*names):
    return {"interval": {name: [0.4, 0.6] for name in names}}


@pytest.mark.parametrize(
    ("objectives", "known", "seeds", "basis", "seedless"),
    [
        (OBJECTIVES, OBJECTIVES, 0, "intervals with seeds", []),
        (OBJECTIVES, OBJECTIVES[1:], 0, "intervals", OBJECTIVES[:1]),
        (["test_accuracy", VERIFIED], ["test_accuracy", VERIFIED], 0, "intervals", [VERIFIED]),
        (["test_accuracy", VERIFIED], ["test_accuracy", VERIFIED], 2, "intervals with seeds", []),
    ],
    ids=["both accuracies", "no interval", "verified of one seed", "verified of two"],
)
def test_intervals_hold_seeds_only_if_those_of_every_objective_do(
    monkeypatch, objectives, known, seeds, basis, seedless
):
    monkeypatch.setattr(module, "per_identity", lambda trials: [None])
    values = dict.fromkeys(objectives, 0.5)
    runs = [{"replicate": seed, "values": values} for seed in range(seeds)]
    found = redraw(
        [as_trial({"values": values, "replicates": runs, **ends(*known)})], objectives, noise=NOISE
    )
    assert (found.basis, found.seedless) == (basis, tuple(seedless))
    without = redraw([as_trial({"values": values, **ends(*known)})], objectives)
    assert (without.basis, without.seedless) == ("intervals", tuple(objectives))


def test_a_third_objective_without_noise_takes_the_seeds_from_the_name_of_the_basis(monkeypatch):
    monkeypatch.setattr(module, "per_identity", lambda trials: [np.full(10, 0.5)])
    monkeypatch.setattr(module, "DRAWS_OF_THREE", 20)
    names = [*OBJECTIVES, "knn_distance"]
    values = dict(zip(names, (0.8, 0.5, 9.0), strict=True))
    found = redraw([as_trial({"values": values})], names, noise=NOISE)
    assert (found.basis, found.seedless) == ("identities", ("knn_distance",))
    assert found.held == ("test accuracy but for training seeds", "knn distance")
    assert (found.tables.once[:, 0, 2] == 9.0).all()


def test_the_noise_that_a_study_knows_is_added_to_identities(monkeypatch):
    rates = [np.full(10, 0.5), np.full(10, 0.1)]
    monkeypatch.setattr(module, "per_identity", lambda trials: rates)
    noise = PooledNoise(probit=0.1, accuracy=0.02, freedom=4)
    trials = [trial(0.8, 0.5), trial(0.7, 0.1)]
    drawn = redraw(trials, OBJECTIVES, noise=noise)
    assert drawn.basis == "identities and seeds"
    wider = student.ppf(0.975, 4) / norm.ppf(0.975)
    for row, rate in enumerate((0.5, 0.1)):
        expected = [0.02 * wider, 0.1 * wider * norm.pdf(norm.ppf(rate))]
        assert drawn.tables.once[:, row].std(axis=0) == pytest.approx(expected, rel=0.1)


def test_estimates_are_those_of_the_draws(known):
    dice = np.random.default_rng(1)
    known([flags(dice, 0.3, 20) for _ in range(3)], [flags(dice, 0.8, 30) for _ in range(3)])
    first, second = module.cross_fitted([numbered(3), numbered(2)], WAYS, WORST)
    volume, expected = module.fitted_volume(first), hypervolume_figure(first.draws)
    assert (volume.value, *volume.interval) == (expected.value, expected.low, expected.high)
    assert (volume.basis, volume.probability) == ("people and images", None)
    lead, expected = module.fitted_lead(first, second), difference_figure(first.draws, second.draws)
    assert (lead.value, *lead.interval) == (expected.value, expected.low, expected.high)
    assert lead.probability == expected.above
    three = module.cross_fitted([numbered(3), numbered(2), numbered(1)], WAYS, WORST)
    wider, expected = (
        module.fitted_lead(*three[:2]),
        difference_figure(three[0].draws, three[1].draws, 1 - 0.05 / 3),
    )
    assert (lead.level, wider.level) == (0.95, pytest.approx(1 - 0.05 / 3))
    assert (wider.value, *wider.interval) == pytest.approx((expected.value, expected.low, expected.high))
    assert module.fitted_volume(three[0]) == volume  # a study's own interval stays one of 95 %
    levels = [0.5, 0.99]
    for reached, figure in zip(
        module.fitted_attained(first, levels), attained_figures(first.draws, levels), strict=True
    ):
        assert (reached is None) == (figure is None)
        assert reached is None or (reached.value, *reached.interval) == (
            figure.value,
            figure.low,
            figure.high,
        )


def test_seeds_widen_the_interval_and_are_named(known):
    dice = np.random.default_rng(2)
    known([flags(dice, 0.3, 200) for _ in range(2)], [flags(dice, 0.8, 300) for _ in range(2)])
    (plain,) = module.cross_fitted([numbered(2)], WAYS, WORST)
    seeds = replicates([(0.9, 0.6), (0.7, 0.2)])
    (noisy,) = module.cross_fitted([numbered(2, replicates=seeds)], WAYS, WORST)
    widths = [np.diff(module.fitted_volume(study).interval)[0] for study in (plain, noisy)]
    assert widths[1] > 1.2 * widths[0]
    assert noisy.basis == "people, images and seeds"
