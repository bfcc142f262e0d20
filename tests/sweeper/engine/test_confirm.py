"""What is measured again, how it is kept, and what it says; over trials that take no time."""

import json

import numpy as np
import optuna
import pytest
from records import as_study

from sweeper.engine.confirm import confirm, near_front, parse_attacks, planned
from sweeper.results.record_types import StudyRecords
from sweeper.results.records import flat_row, study_records
from sweeper.search.confirmation_log import Confirmation, stored_confirmation
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import stored_trials
from trainables.errors import ConfigError

# (accuracy, attack accuracy) as the search measured them. The third is near the front within its interval,
# the fourth is nearer, the last is far from it.
SEEN = [(0.9, 0.5), (0.6, 0.2), (0.58, 0.26), (0.88, 0.52), (0.3, 0.9)]


@pytest.fixture
def searched(home, cheap, result):
    """Return a study whose search is done, in a home of its own."""

    def make(**changes):
        study = cheap(trial={"attack": {"kind": "gmi"}, "replicate": 1}, **changes)
        source = OptunaStudy(study, home.storage, home.study(study.name) / "history")
        for accuracy, attack in SEEN:
            one = source.ask()
            values = {"test_accuracy": accuracy, "attack_accuracy": attack}
            interval = {"attack_accuracy": [attack - 0.08, attack + 0.08]}
            told = result(accuracy, values=values, interval=interval) | {"params": one.assignment}
            assert source.tell(one.number, told) == ""
        return study

    return make


def fresh(item, accuracy, attack):
    return {
        "values": {"test_accuracy": accuracy, "attack_accuracy": attack},
        "interval": {"attack_accuracy": [attack - 0.1, attack + 0.1]},
        "metrics": {},
        "history": {"target": [1, 2, 3]},
        "params": item.assignment,
    }


def measure(source, figures):
    """Tell `source` what ``figures(member, replicate)`` says of everything it hands out."""
    told = []
    while (request := source.ask()) is not None:
        item = source._items[request.number]
        told.append((item.member, item.replicate))
        assert source.tell(request.number, fresh(item, *figures(item.member, item.replicate))) == ""
    return told


def test_members_and_the_nearest_are_measured_under_numbers_never_used(home, searched):
    study = searched(search={"trials": 5, "replicates": 2})
    records = study_records(home, study.name)
    assert [trial.on_front for trial in records.trials] == [True, True, False, False, False]
    assert near_front(records) == [3, 2]
    items, left_out = planned(study, records, seeds=2, near=1)
    assert [(i.member, i.replicate) for i in items] == [(0, 3), (1, 3), (3, 3), (0, 4), (1, 4), (3, 4)]
    assert left_out == [2]  # the search used 1 and 2
    first = items[0].document
    assert first == {"attack": {"kind": "gmi"}, **records.trials[0].params, "replicate": 3}
    items, left_out = planned(study, records, seeds=1, attacks=[{"kind": "other"}])
    assert {i.member for i in items} == {0, 1, 2, 3} and left_out == []
    assert items[0].document["attack"] == [{"kind": "gmi"}, {"kind": "other"}]


def test_how_near_a_trial_is_counts_in_parts_of_its_interval():
    def trial(number, accuracy, attack, low, on_front=False):
        return {
            "number": number,
            "state": "complete",
            "feasible": True,
            "on_front": on_front,
            "values": {"test_accuracy": accuracy, "attack_accuracy": attack},
            "interval": {"attack_accuracy": [low, 1.0]},
        }

    trials = [
        trial(0, 0.9, 0.5, 0.4, on_front=True),
        trial(1, 0.8, 0.6, 0.5),  # reaches 0.5, where it is dominated still
        trial(2, 0.8, 0.6, 0.48),  # passes 0.5 in the last sixth of its way
        trial(3, 0.8, 0.6, 0.2),  # passes it in the first
    ]
    assert near_front(as_study({"trials": trials})) == [3, 2]


def test_nothing_of_it_is_in_the_search(home, searched):
    study = searched(search={"trials": 5})
    before = stored_trials(home.storage, study.name)
    items, _ = planned(study, study_records(home, study.name), seeds=2)
    measure(Confirmation(study, home.storage, items, []), lambda member, seed: (0.99, 0.01))
    assert stored_trials(home.storage, study.name) == before
    assert OptunaStudy(study, home.storage, home.root).complete == 5
    with pytest.raises(ConfigError, match=r"studies there: cheap\)"):
        study_records(home, "no such study")


def test_records_hold_fresh_means_intervals_and_how_sure_the_front_is(home, searched):
    study = searched(search={"trials": 5})
    items, _ = planned(study, study_records(home, study.name), seeds=3, near=1)
    noise = np.random.default_rng(0).normal(0, 0.01, (10, 10, 2))
    true = {0: (0.85, 0.55), 1: (0.6, 0.2), 3: (0.9, 0.5)}  # the first was lucky

    def figures(member, seed):
        return tuple(true[member] + noise[member, seed])

    measure(Confirmation(study, home.storage, items, []), figures)
    records = study_records(home, study.name)
    document = records.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert [trial.on_front for trial in records.trials] == [True, True, False, False, False]
    one = records.trials[0].confirmed
    values = [figures(0, seed)[1] for seed in (2, 3, 4)]
    assert one.seeds == 3 and one.values["attack_accuracy"] == pytest.approx(np.mean(values))
    low, high = one.interval["attack_accuracy"]
    assert low < np.mean(values) - 0.1 and np.mean(values) + 0.1 < high
    sure = {t.number: t.confirmed.front_probability for t in records.trials if t.confirmed}
    assert sure == {0: pytest.approx(0, abs=0.05), 1: 1.0, 3: pytest.approx(1, abs=0.05)}
    assert records.confirmed.seeds == 3
    expected = 0.6 * 0.3 + 0.9 * 0.5  # (0.6, 0.2) and (0.9, 0.5) against (0, 1)
    assert records.confirmed.hypervolume == pytest.approx(expected, abs=0.02)
    row = flat_row(records.trials[1])
    assert row["front_probability"] == 1.0 and row["confirmed_seeds"] == 3
    assert row["confirmed_test_accuracy_low"] < 0.6 < row["confirmed_test_accuracy_high"]
    assert records.trials[4].confirmed is None


def test_without_a_front_there_is_nothing_to_confirm(home, cheap):
    study = cheap()
    OptunaStudy(study, home.storage, home.root)
    with pytest.raises(ConfigError, match="confirm needs a front"):
        planned(study, study_records(home, study.name), seeds=1)


def test_a_search_over_seeds_has_no_fresh_ones(home, cheap, result):
    study = cheap(space=[{"replicate": {"int": [0, 9]}}])
    source = OptunaStudy(study, home.storage, home.study("cheap") / "history")
    one = source.ask()
    source.tell(one.number, result(0.5) | {"params": one.assignment})
    with pytest.raises(ConfigError, match="searches over 'replicate'"):
        planned(study, study_records(home, study.name), seeds=1)


@pytest.mark.parametrize(
    ("texts", "attacks"),
    [
        (["kedmi"], [{"kind": "kedmi"}]),
        (
            ["kedmi:cpu,gmi", "lomma"],
            [{"kind": "kedmi", "preset": "cpu"}, {"kind": "gmi"}, {"kind": "lomma"}],
        ),
        (["{kind: gmi, iterations: 9}"], [{"kind": "gmi", "iterations": 9}]),
        ([], []),
    ],
)
def test_attacks_of_the_command_line(texts, attacks):
    assert parse_attacks(texts) == attacks


@pytest.mark.parametrize("text", ["", "{iterations: 9}", "[gmi]", "{", "3", "gmi,"])
def test_attacks_that_make_no_sense(text):
    with pytest.raises(ConfigError, match="an attack must be its name"):
        parse_attacks([text])


def test_a_document_that_is_no_trial_is_found_before_any_work(home, searched, monkeypatch):
    def refuse(address):
        raise AssertionError("Ray was started")

    monkeypatch.setattr("sweeper.engine.confirm.cluster", refuse)
    with pytest.raises(ConfigError, match="confirm: trial 0"):
        confirm(searched(search={"trials": 5}), home, seeds=1, attacks=[{"kind": "no_such_attack"}])


def test_what_is_there_is_not_run_again(home, searched, monkeypatch):
    study = searched(search={"trials": 5})
    items, left_out = planned(study, study_records(home, study.name), seeds=2, near=1)
    measure(Confirmation(study, home.storage, items, []), lambda member, seed: (0.8, 0.3))

    def refuse(address):
        raise AssertionError("Ray was started")

    monkeypatch.setattr("sweeper.engine.confirm.cluster", refuse)
    found = confirm(study, home, seeds=2, near=1, run=refuse)
    assert (found.measured, found.planned, found.left_out) == (6, 6, left_out)
    assert found.records.confirmed.seeds == 2
    assert home.report(study.name).exists()


def test_measurements_run_on_ray(home, searched, result, ray_address):
    study = searched(search={"trials": 5}, resources={"concurrent": 1})

    def run(trial, *, store_root, device, report):
        return result(trial["x"], values={"test_accuracy": trial["replicate"] / 10, "attack_accuracy": 0.5})

    found = confirm(study, home, seeds=2, near=0, run=run)
    assert (found.measured, found.planned, found.failures) == (4, 4, [])
    assert found.records.trials[0].confirmed.values["test_accuracy"] == pytest.approx(0.25)


def test_how_near_a_trial_is_counts_in_what_the_search_saw():
    def trial(number, tested, checked, high, on_front=False):
        return {
            "number": number,
            "state": "complete",
            "feasible": True,
            "on_front": on_front,
            "values": {"test_accuracy": tested, "attack_accuracy": 0.5},
            "searched": {"validation_accuracy": checked, "attack_accuracy": 0.5},
            "interval": {"validation_accuracy": [0.0, high], "test_accuracy": [0.0, 1.0]},
        }

    way = {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
    trials = [
        trial(0, 0.5, 0.9, 0.95, on_front=True),
        trial(1, 0.99, 0.7, 0.85),  # ahead on test images, which do not count
        trial(2, 0.4, 0.8, 0.95),
    ]
    assert near_front(as_study({"searched": way, "trials": trials})) == [2]


EVERYTHING = ("seeds", "split", "prior", "judge")


def test_what_is_fresh_is_the_same_for_all_trials(home, searched):
    study = searched(search={"trials": 5})
    records = study_records(home, study.name)
    items, _ = planned(study, records, seeds=2, near=0, fresh=EVERYTHING)
    assert [(item.member, item.replicate) for item in items] == [(0, 2), (1, 2), (0, 3), (1, 3)]
    fresh_seeds = {"split_seed": 1, "prior_seed": 1, "judge_seed": 1}
    assert all(item.changes == fresh_seeds and item.document.items() >= fresh_seeds.items() for item in items)
    items, _ = planned(study, records, near=0, fresh=("judge",))  # the search's own targets, once
    assert [(item.member, item.replicate, item.changes) for item in items] == [
        (0, 1, {"judge_seed": 1}),
        (1, 1, {"judge_seed": 1}),
    ]
    assert len(planned(study, records, near=0)[0]) == 6  # three seeds, if nobody says how many
    with pytest.raises(ConfigError, match=r"2 of them cannot be counted \(--seeds, --fresh judge\)"):
        planned(study, records, seeds=2, fresh=("judge",))


def test_measurements_with_something_else_fresh_stay_apart(home, searched):
    study = searched(search={"trials": 5})
    records = study_records(home, study.name)
    items, _ = planned(study, records, seeds=2, near=0)
    older = Confirmation(study, home.storage, items, [])
    measure(older, lambda member, seed: (0.8, 0.4))
    read = study_records(home, study.name)
    assert (list(read.confirmed.fresh), read.confirmed.seeds) == (["seeds"], 2)
    items, _ = planned(study, records, seeds=1, near=0, fresh=("seeds", "judge"))
    newer = Confirmation(study, home.storage, items, [], ("seeds", "judge"))
    assert newer.complete == 0
    measure(newer, lambda member, seed: (0.7, 0.3))
    read = study_records(home, study.name)
    assert (list(read.confirmed.fresh), read.confirmed.seeds) == (["seeds", "judge"], 1)
    assert read.trials[0].confirmed.values["test_accuracy"] == pytest.approx(0.7)
    assert dict(read.trials[0].confirmed.replicates[0].changes) == {"judge_seed": 1}
    document = json.loads(json.dumps(read.to_json()))
    assert document["confirmed"]["fresh"] == ["seeds", "judge"]
    assert StudyRecords.from_json(document).to_json() == document
    again = Confirmation(study, home.storage, planned(study, records, seeds=2, near=0)[0], [])
    assert again.complete == 4  # they are not lost


def test_a_study_that_was_deleted_and_begun_anew_is_not_confirmed_by_the_old_one(searched, home, result):
    """``optuna delete-study`` leaves fresh measurements, whose trials have the numbers of the new ones."""
    old = searched()
    items, _ = planned(old, study_records(home, old.name), seeds=1, near=0)
    log = Confirmation(old, home.storage, items, [])
    while (request := log.ask()) is not None:
        assert log.tell(request.number, result(0.7)) == ""
    assert stored_confirmation(home.storage, old.name)[1]
    OptunaStudy(old, home.storage, home.study(old.name) / "history")  # opened again it keeps them
    assert stored_confirmation(home.storage, old.name)[1]
    optuna.delete_study(study_name=old.name, storage=home.storage)
    new = searched(space=[{"x": {"float": [0, 2]}}])
    assert stored_confirmation(home.storage, new.name) == (None, {})
    assert not any(trial.confirmed for trial in study_records(home, new.name).trials)
