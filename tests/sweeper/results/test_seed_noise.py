"""The noise of training seeds of stored studies: from where it is pooled, and which intervals get it."""

import dataclasses

import numpy as np
import pytest
import torch
from records import as_study
from scipy.stats import norm

from sweeper.results.record_types import StudyRecords
from sweeper.results.seed_noise import PENDING, WITHOUT, pooled_noise, with_seed_noise
from sweeper.search.replicates import combine
from sweeper.statistics.seed_noise import pooled
from trainables.metrics.attack_accuracy import interval95

PEOPLE = 50


def values(attack, accuracy):
    return {"attack_accuracy": attack, "test_accuracy": accuracy}


def seed(number, attack, accuracy):
    interval = {"attack_accuracy": [attack - 0.1, attack + 0.1]}
    return {"replicate": number, "values": values(attack, accuracy), "interval": interval}


def trial(number, attack=0.4, accuracy=0.8, **more):
    return {
        "number": number,
        "values": values(attack, accuracy),
        "interval": {
            "attack_accuracy": [attack - 0.1, attack + 0.1],
            "test_accuracy": [accuracy - 0.05, accuracy + 0.05],
        },
        "people": {"attacked": PEOPLE, "found": 20},
        **more,
    }


def confirmation(*seeds):
    mean = {name: float(np.mean([s["values"][name] for s in seeds])) for name in values(0, 0)}
    return {
        "seeds": len(seeds),
        "values": mean,
        "interval": {"attack_accuracy": [mean["attack_accuracy"] - 0.1, mean["attack_accuracy"] + 0.1]},
        "replicates": list(seeds),
    }


def stored(*rows):
    return {
        "members": {"undefended": 0},
        "results": [
            {"member": member, "replicate": replicate, "values": values(attack, accuracy)}
            for member, replicate, attack, accuracy in rows
        ],
    }


def deviation(*groups):
    squares = sum(((norm.ppf(group) - norm.ppf(group).mean()) ** 2).sum() for group in groups)
    return np.sqrt(squares / sum(len(group) - 1 for group in groups))


def test_noise_replicates_count_with_the_trial_that_they_repeat():
    records = as_study({"trials": [trial(0, 0.5), trial(1, 0.2), trial(2, 0.3)]})
    results = stored((0, 1, 0.6, 0.7), (0, 2, 0.55, 0.75), (1, 1, 0.25, 0.8))
    noise = with_seed_noise(records, results).seed_noise
    assert noise.freedom == 3
    assert noise.probit == pytest.approx(deviation([0.5, 0.6, 0.55], [0.2, 0.25]))


def test_replicates_of_the_search_and_fresh_seeds_count():
    searched = trial(0, 0.5, replicates=[seed(0, 0.45, 0.8), seed(1, 0.55, 0.8)])
    again = trial(1, 0.9, confirmed=confirmation(seed(1, 0.2, 0.8), seed(2, 0.3, 0.8), seed(3, 0.25, 0.9)))
    noise = with_seed_noise(as_study({"trials": [searched, again]}), None).seed_noise
    assert noise.freedom == 3  # what the search chose it by does not count
    assert noise.probit == pytest.approx(deviation([0.45, 0.55], [0.2, 0.3, 0.25]))


def test_the_same_runs_do_not_count_twice():
    seeds = [seed(1, 0.2, 0.8), seed(2, 0.3, 0.8), seed(3, 0.25, 0.9)]
    records = as_study({"trials": [trial(0, 0.4, confirmed=confirmation(*seeds))]})
    noise = with_seed_noise(records, stored((0, 1, 0.2, 0.8), (0, 2, 0.3, 0.8))).seed_noise
    assert noise.freedom == 2


@pytest.mark.parametrize(("results", "sentence"), [(None, WITHOUT), (stored(), PENDING)])
def test_where_it_is_not_known_intervals_stay_and_a_sentence_says_so(results, sentence):
    records = as_study({"trials": [trial(0), trial(1)]})
    read = with_seed_noise(records, results)
    assert read.seed_noise is None and read.interval_holds == sentence
    assert [t.interval for t in read.trials] == [t.interval for t in records.trials]
    assert read.to_json()["seed_noise"] is None and read.to_json()["interval_holds"] == sentence


def test_people_must_be_known():
    records = as_study({"trials": [trial(0, people=None)]})
    assert with_seed_noise(records, stored((0, 1, 0.6, 0.7))).seed_noise is None
    assert pooled_noise(records.trials, stored((0, 1, 0.6, 0.7)), 40) is not None


def test_every_interval_gets_it_and_of_a_mean_over_several_seeds_by_the_root_less():
    attacks = {"gmi": {"metrics": {"attack_accuracy_top1": 0.4}, "interval": [0.3, 0.5]}}
    alone = trial(0, attacks=attacks)
    replicated = trial(1, replicates=[seed(0, 0.35, 0.8), seed(1, 0.45, 0.8)])
    confirmed_once = trial(2, confirmed=confirmation(seed(1, 0.4, 0.8)))
    confirmed = trial(3, confirmed=confirmation(seed(1, 0.4, 0.8), seed(2, 0.45, 0.85)))
    records = as_study({"trials": [alone, replicated, confirmed_once, confirmed]})
    read = with_seed_noise(records, stored((0, 1, 0.5, 0.7)))
    noise = pooled([([0.4, 0.5], [0.8, 0.7]), ([0.35, 0.45], [0.8, 0.8]), ([0.4, 0.45], [0.8, 0.85])], PEOPLE)
    assert read.seed_noise == noise
    rate = pytest.approx(noise.around_rate(0.4, (0.3, 0.5), people=PEOPLE))
    accuracy = pytest.approx(noise.around_accuracy(0.8, (0.75, 0.85)))
    for number in (0, 2, 3):
        assert read.trials[number].interval == {"attack_accuracy": rate, "test_accuracy": accuracy}
    assert read.trials[0].attacks["gmi"]["interval"] == rate
    assert read.trials[2].confirmed.interval["attack_accuracy"] == rate
    around = {"people": PEOPLE, "seeds": 2}
    searched, again = read.trials[1], read.trials[3].confirmed
    assert searched.interval["attack_accuracy"] == pytest.approx(noise.around_rate(0.4, (0.3, 0.5), **around))
    assert again.interval["attack_accuracy"] == pytest.approx(
        noise.around_rate(0.425, (0.325, 0.525), **around)
    )
    # No seed of these has an interval of its test accuracy: that of the mean stays.
    assert searched.interval["test_accuracy"] == records.trials[1].interval["test_accuracy"]
    assert "training seeds" in read.interval_holds and "3 degrees" in read.interval_holds


def test_trials_without_a_result_or_an_interval_stay_as_they_are():
    failed = {"number": 1, "state": "failed", "reason": "broken"}
    bare = trial(2) | {"interval": {}}
    records = as_study({"trials": [trial(0), failed, bare]})
    read = with_seed_noise(records, stored((0, 1, 0.5, 0.7)))
    assert read.trials[1:] == records.trials[1:]


def test_it_is_read_from_json_again():
    records = with_seed_noise(as_study({"trials": [trial(0)]}), stored((0, 1, 0.5, 0.7)))
    again = StudyRecords.from_json(records.to_json())
    assert again.seed_noise == records.seed_noise and again.interval_holds == records.interval_holds
    assert dataclasses.asdict(again.seed_noise) == records.to_json()["seed_noise"]


def test_stored_trials_stay_as_they_are(home, cheap, result):
    from sweeper.results.records import study_records
    from sweeper.search.noise_replicates import NoiseReplicates
    from sweeper.search.optuna_study import OptunaStudy
    from sweeper.search.reading import stored_trials

    template = {"defense": {"kind": "none"}}
    study = cheap(trial=template, search={"trials": 2})
    source = NoiseReplicates(study, OptunaStudy(study, home.storage, home.root), home.storage)
    accuracy = 0.5
    while (request := source.ask()) is not None:
        told = result(
            accuracy, people={"attacked": PEOPLE, "found": 3}, interval={"attack_accuracy": [0.2, 0.4]}
        )
        assert source.tell(request.number, told | {"params": request.assignment}) == ""
        accuracy += 0.02
    _, trials = stored_trials(home.storage, study.name)
    assert trials[0]["result"]["interval"] == {"attack_accuracy": [0.2, 0.4]}
    records = study_records(home, study.name, history=False)
    assert records.seed_noise.freedom == 4
    low, high = records.trials[0].interval["attack_accuracy"]
    assert low < 0.2 and high > 0.4


def seeds_of(dice, faces, rate, count, spread):
    """Return replicates of a trial of a true `rate`, whose seeds move it by `spread` on the probit scale."""
    replicates = []
    for number, shift in enumerate(spread * dice.standard_normal(count)):
        own = np.sqrt(0.7) * dice.standard_normal(len(faces))
        found = torch.tensor(np.sqrt(0.3) * faces + own < norm.ppf(rate) + shift, dtype=torch.float64)
        value = float(found.mean())
        interval = {"attack_accuracy": list(interval95(found, 1))}
        replicates.append({"replicate": number, "values": values(value, 0.8), "interval": interval})
    return replicates


@pytest.mark.parametrize("rate", [0.03, 0.3])
@pytest.mark.parametrize("count", [2, 3])
def test_a_mean_over_seeds_is_covered_and_surer_than_one_of_them(rate, count):
    dice, spread, held, width, alone = np.random.default_rng(3), 0.25, 0, 0.0, 0.0
    truth = norm.cdf(norm.ppf(rate) / np.sqrt(1 + spread**2))
    for _ in range(150):
        faces = dice.standard_normal(100)
        trials = []
        for number, own in enumerate((rate, 0.2, 0.5)):
            combined = combine(seeds_of(dice, faces, own, count, spread))
            trials.append({"number": number, "people": {"attacked": 100, "found": 50}, **combined})
        first = {**trials[0]["replicates"][0], "number": 3, "people": trials[0]["people"]}
        read = with_seed_noise(as_study({"trials": [*trials, first]}), None)
        low, high = read.trials[0].interval["attack_accuracy"]
        held, width = held + (low <= truth <= high), width + high - low
        alone += np.ptp(read.trials[3].interval["attack_accuracy"])
    assert held >= 0.92 * 150
    assert width < alone
