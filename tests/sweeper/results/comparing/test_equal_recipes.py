"""Studies of one recipe, measured again and again: how often a comparison calls one of them ahead."""

import dataclasses

import numpy as np
import pytest
import torch
from records import as_study
from scipy.stats import norm
from simulated_studies import REGIMES

from sweeper.results.comparing import compare as comparing
from sweeper.results.comparing import resample
from sweeper.statistics.seed_noise import PooledNoise
from trainables.metrics.attack_accuracy import interval95

SEEDS = {"probit": 0.25, "accuracy": 0.015}
FREEDOM = 8
VERIFIED = "attack_accuracy_verified"
TWO = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
CLAIMS = ("has the better front than", "shown to be ahead of")


def noise_of(dice):
    """Return what a study knows of the noise of training seeds: its size, estimated from a few."""
    probit, accuracy = (SEEDS[name] * np.sqrt(dice.chisquare(FREEDOM) / FREEDOM) for name in SEEDS)
    return PooledNoise(probit=probit, accuracy=accuracy, freedom=FREEDOM)


def one_study(name, first, population, regime, objectives, dice, store):
    """Return the records of one study of the recipe; what its files hold goes into `store` by trial."""
    people, images = regime.measure(population, dice)
    verified = people * (dice.random(people.shape) < 0.6)
    noise, trials = noise_of(dice), []
    for number, (rates, right, sure) in enumerate(zip(people, images, verified, strict=True), first):
        store[number] = rates, right
        values = {
            "test_accuracy": right.mean(),
            "attack_accuracy": rates.mean(),
            VERIFIED: sure.mean(),
        }
        ends = {
            "test_accuracy": noise.around_accuracy(right.mean(), interval95(torch.tensor(right), 1)),
            "attack_accuracy": noise.around_rate(
                rates.mean(), interval95(torch.tensor(rates), 1), people=len(rates)
            ),
            VERIFIED: interval95(torch.tensor(sure), 1),
        }
        trials.append(
            {
                "number": number,
                "values": {name: float(values[name]) for name in objectives},
                "interval": {name: [float(end) for end in ends[name]] for name in objectives},
            }
        )
    return as_study(
        {
            "study": name,
            "objectives": objectives,
            "reference_point": {way: 0.0 if way == "test_accuracy" else 1.0 for way in objectives},
            "seed_noise": dataclasses.asdict(noise),
            "trials": trials,
        }
    )


def outcomes(monkeypatch, regime, objectives, *, studies, times, files=True):
    """Yield the comparisons of `studies` that differ by luck alone, `times` over."""
    noisy = dataclasses.replace(regime, **SEEDS)
    store = {}

    def kept(place):
        return lambda trials: [store[trial.number][place] if files else None for trial in trials]

    monkeypatch.setattr(resample, "per_identity", kept(0))
    monkeypatch.setattr(resample, "per_image", kept(1))
    for repetition in range(times):
        dice = np.random.default_rng([29, repetition])
        population = noisy.population(dice)
        records = [
            one_study(f"s{k}", 100 * k, population, noisy, objectives, dice, store) for k in range(studies)
        ]
        yield comparing.compare(records)


@pytest.mark.parametrize(
    ("objectives", "files"),
    [
        ({**TWO, VERIFIED: "minimize"}, True),
        ({"test_accuracy": "maximize", VERIFIED: "minimize"}, True),
        (TWO, False),
    ],
    ids=["three objectives", "verified", "no files"],
)
def test_fronts_valued_on_what_chose_them_show_no_lead(monkeypatch, objectives, files):
    """Their intervals leave out 0 for far more than one pair in twenty: no sentence may go by them."""
    monkeypatch.setattr(resample, "DRAWS_OF_THREE", 40)
    regime, excluded = dataclasses.replace(REGIMES[2], trials=16), 0
    for found in outcomes(monkeypatch, regime, objectives, studies=2, times=40, files=files):
        low, high = found.pairs[0].estimate.interval
        excluded += low > 0 or high < 0
        volumes = [study.hypervolume for study in found.studies]
        assert not any(claim in found.outcome for claim in CLAIMS), found.outcome
        assert f"as measured ({max(volumes):.3f} against {min(volumes):.3f})" in found.outcome
        assert "how sure that is is not known" in found.outcome
        assert found.pairs[0].estimate.probability is None
        assert any("nothing is said of recipes" in note for note in found.notes)
    assert excluded >= 6  # of 40; that has a chance of .014 where one in twenty is excluded


def test_the_best_looking_of_six_equal_studies_is_seldom_shown_to_be_ahead(monkeypatch):
    regime, claimed, picked = dataclasses.replace(REGIMES[1], trials=8), 0, 0
    for found in outcomes(monkeypatch, regime, TWO, studies=6, times=60):
        claimed += any(claim in found.outcome for claim in CLAIMS)
        # What 95 % of each pair alone would have said of the best-looking one.
        best = max(found.studies, key=lambda study: study.estimate.value).study
        leads = [pair.estimate for pair in found.pairs if best in pair.studies]
        narrower = norm.ppf(0.975) / norm.ppf(1 - 0.025 / 15)
        picked += any(
            abs(lead.value) > narrower * (lead.interval[1] - lead.interval[0]) / 2 for lead in leads
        )
    assert claimed <= 3  # of 60: one in twenty
    assert picked >= 6
