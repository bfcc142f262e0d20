import errno
import json

import pytest
from markupsafe import escape

import sweeper
from sweeper.report.report import render
from sweeper.results.comparing.fronts import counted, front
from sweeper.results.formatting import behind, missed, searched
from sweeper.results.record_types import StudyRecords
from sweeper.results.records import _located, concluded, study_names, study_records
from sweeper.results.summary import summary
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import CONTROLS, write_history
from trainables.errors import ConfigError, DiskError


@pytest.fixture
def filled(home, cheap, result):
    """A home with one study: three complete trials, one failed, one running."""
    book = OptunaStudy(cheap(), home.storage, home.study("cheap") / "history")
    for x, extra in ((0.5, {}), (0.9, {}), (0.4, {"metrics": {"knn_distance": float("nan")}})):
        one = book.ask()
        values = {"test_accuracy": x, "attack_accuracy": 0.2 if x < 0.9 else 0.6}
        book.tell(one.number, result(x, values=values, **extra) | {"params": one.assignment})
    one = book.ask()
    book.fail(one.number, one.assignment, "out of memory")
    book.ask()
    return home


def test_records_have_the_shape_that_front_prints(filled):
    read = study_records(filled, "cheap")
    records = read.to_json()
    text = json.dumps(records, allow_nan=False)
    assert json.loads(text) == records == StudyRecords.from_json(json.loads(text)).to_json()
    assert list(records)[:5] == ["study", "objectives", "reference_point", "hypervolume", "trials"]
    assert records["reference_point"] == {"test_accuracy": 0.0, "attack_accuracy": 1.0}
    states = [t["state"] for t in records["trials"]]
    assert states == ["complete"] * 3 + ["failed", "running"]
    # (0.5, 0.2) and (0.9, 0.6) against (0, 1): 0.9 x 0.4 and 0.5 x (0.8 - 0.4)
    assert records["hypervolume"] == pytest.approx(0.9 * 0.4 + 0.5 * 0.4)
    assert [t["on_front"] for t in records["trials"]] == [True, True, False, False, False]
    assert [t["feasible"] for t in records["trials"]] == [True, True, True, None, None]
    first = records["trials"][0]
    assert first["params"] == {"x": 0.5, "k": "a"}
    assert (first["trained_params"], first["total_params"]) == (10, 20)
    assert first["seconds"] == {"target": 0.5, "attack": 0.25}
    assert first["interval"]["attack_accuracy"] == [0.125, 0.5]
    assert first["history"] == {"target": [{"loss": 2.0}, {"loss": 1.0}]}
    assert records["trials"][2]["metrics"]["knn_distance"] is None
    assert records["trials"][3]["reason"] == "out of memory"


@pytest.mark.parametrize("text", ["", '{"target": [{"lo', "null", "[1]", None])
def test_a_damaged_history_costs_the_curves_of_its_trial_alone(filled, text):
    file = filled.study("cheap") / "history" / "0.json"
    file.unlink()
    if text is not None:
        file.write_text(text)
    trials = study_records(filled, "cheap").to_json()["trials"]
    assert [bool(trial["history"]) for trial in trials] == [False, True, True, False, False]
    assert trials[0]["values"]["test_accuracy"] == 0.5


def test_a_history_is_on_the_disk_before_it_counts(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    write_history(tmp_path, 0, {"target": []})
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskError):
        write_history(tmp_path, 0, {"target": [1]})
    assert json.loads((tmp_path / "0.json").read_text()) == {"target": []}


def told(home, study, rows, result):
    """Return the records of `study` with one trial for each of `rows`, its changes to a result."""
    book = OptunaStudy(study, home.storage, home.study(study.name) / "history")
    for row in rows:
        one = book.ask()
        assert book.tell(one.number, result(0.5, **row)) == ""
    return study_records(home, study.name).to_json()


def values(accuracy, attack):
    return {"test_accuracy": accuracy, "attack_accuracy": attack}


def test_what_misses_a_constraint_is_not_on_the_front(home, cheap, result):
    rows = [{"values": values(a, p)} for a, p in ((0.9, 0.5), (0.5, 0.1), (0.8, 0.6), (0.8, 0.4))]
    records = told(home, cheap(constraints=["test_accuracy >= 0.8"]), rows, result)
    assert [t["feasible"] for t in records["trials"]] == [True, False, True, True]
    assert [t["on_front"] for t in records["trials"]] == [True, False, False, True]
    assert records["trials"][1]["reason"] == "misses validation_accuracy >= 0.8"
    assert records["trials"][0]["reason"] is None
    assert records["hypervolume"] == pytest.approx(0.9 * 0.5 + 0.8 * 0.1)


def test_three_objectives_and_one_without_a_natural_bound(home, cheap, result):
    objectives = {"test_accuracy": "maximize", "attack_accuracy": "minimize", "train_seconds": "minimize"}
    rows = [
        {"values": values(a, p), "seconds": {"target": s}}
        for a, p, s in ((0.5, 0.5, 10.0), (0.5, 0.5, 8.0), (0.4, 0.6, 4.0), (0.4, 0.7, 4.0))
    ]
    records = told(home, cheap(objectives=objectives), rows, result)
    assert records["reference_point"] == {
        "test_accuracy": 0.0,
        "attack_accuracy": 1.0,
        "train_seconds": 10.0,
    }
    assert [t["on_front"] for t in records["trials"]] == [False, True, True, False]
    # 2 s deep: the square of the second; 4 s more: the rectangle of the third, less what both cover
    assert records["hypervolume"] == pytest.approx(0.25 * 2 + 0.16 * 6 - 0.16 * 2)
    assert records["trials"][1]["values"]["train_seconds"] == 8.0


@pytest.mark.parametrize(
    "objectives",
    [
        {"test_accuracy": "maximize", "knn_distance": "maximize"},
        {"train_seconds": "minimize", "validation_accuracy": "maximize"},
        {"attack_accuracy": "minimize", "test_accuracy": "maximize"},
        {"attack_accuracy": "minimize"},
    ],
)
def test_a_study_is_shown_whatever_it_searched_for(home, cheap, result, objectives):
    """Every trial has the interval of its attack accuracy, also where that is no objective."""
    told(home, cheap(objectives=objectives), [{"values": values(a, a / 2)} for a in (0.5, 0.9)], result)
    records = study_records(home, "cheap")
    assert all("attack_accuracy" in trial.interval for trial in records.trials)
    found = json.loads(json.dumps(concluded(records), allow_nan=False))
    shown = found["summary"][0]
    assert all(name.replace("_", " ") in shown for name in objectives)
    assert ("attack accuracy on it" in found["summary"][1]) == ("attack_accuracy" in objectives)
    page = render([records], images=False)
    assert "trial-0" in page and escape(shown) in page


def test_what_runs_has_its_parameters_by_name_as_what_is_complete(home, cheap, result):
    """A freeze point is stored as a position, a list by its label: neither is what the trial was given."""
    space = ["freeze_depth", {"target.trained": {"choice": [["conv1"], ["conv2", "conv3"]]}}]
    study = cheap(space=space, trial={"target": {"architecture": "small_cnn"}})
    source = OptunaStudy(study, home.storage, home.study(study.name) / "history")
    given = {one.number: one.assignment for one in (source.ask(), source.ask(), source.ask())}
    source.tell(0, result(0.5) | {"params": given[0]})
    source.fail(1, given[1], "it was cut off")
    records = study_records(home, study.name)
    assert [trial.state for trial in records.trials] == ["complete", "failed", "running"]
    assert {trial.number: dict(trial.params) for trial in records.trials} == given
    assert all(isinstance(params["target.freeze_point"], str) for params in given.values())


def test_a_notebook_gets_frames(filled):
    study = sweeper.open_study("cheap", str(filled.root))
    frame = study.trials()
    assert len(frame) == 5
    assert {"number", "state", "x", "k", "test_accuracy", "attack_accuracy_low", "seconds.target"} <= set(
        frame
    )
    assert list(study.front()["test_accuracy"]) == [0.9, 0.5]
    records = study_records(filled, "cheap")
    assert study.records() == {
        **records.to_json(),
        "pretraining_distance": [],
        "summary": summary(records),
    }


def test_the_json_of_front_has_the_distance_of_each_pre_training(home, cheap, result):
    rows = [
        {"metrics": {"validation_accuracy": 0.5, "probe_accuracy": probe, "probe_chance": 0.1}}
        for probe in (0.2, 0.3, 0.2)
    ]
    told(home, cheap(), rows, result)
    found = concluded(study_records(home, "cheap"))
    json.dumps(found, allow_nan=False)
    assert [(row["accuracy"], row["trials"]) for row in found["pretraining_distance"]] == [
        (0.2, [0, 2]),
        (0.3, [1]),
    ]


def test_studies_that_do_not_exist_name_the_nearest(filled):
    assert study_names(filled) == ["cheap"]
    with pytest.raises(ConfigError, match=r"got 'cheep'; did you mean 'cheap'\?"):
        study_records(filled, "cheep")


def test_asking_an_empty_home_creates_nothing(home):
    with pytest.raises(ConfigError, match="none yet"):
        study_records(home, "cheap")
    assert list(home.root.iterdir()) == []


def test_a_screened_trial_has_both_its_numbers_and_no_values(home, cheap, result):
    screening = {"reason": "trial 0 is better even so", "test_accuracy": 0.99, "attack_accuracy": 0.01}
    rows = [{"values": values(0.9, 0.5)}, {"values": values(0.99, 0.01), "screening": screening}]
    records = told(home, cheap(search={"screening": True}), rows, result)
    beaten = records["trials"][1]
    assert (beaten["state"], beaten["on_front"], beaten["values"]) == (
        "screened",
        False,
        {"validation_accuracy": 0.99},  # of the target, which was trained in full
    )
    assert beaten["screening"] == screening
    assert records["hypervolume"] == pytest.approx(0.9 * 0.5)


def test_the_noise_of_training_seeds_is_in_the_verdict_of_stored_controls(home, cheap, result):
    """Undefended 7 of 40 people, clear of a floor of one in forty, until seeds are known to differ widely."""
    undefended = {
        "name": "undefended",
        "attack": "gmi",
        "architecture": "small_cnn",
        "epoch": 1,
        "restarts": 1,
        "validation_accuracy": 0.8,
        "test_accuracy": 0.8,
        "interval": [0.1, 0.3],
        "per_identity": [1.0] * 7 + [0.0] * 33,
        "attack_accuracy": 0.175,
        "metrics": {},
        "seconds": {},
        "artifacts": {},
    }
    null = {"rate": 0.025, "interval": [0.02, 0.03], "per_identity": [0.025] * 40, "pictures": 1000}
    null |= {"prior": "gmi", "attack": None, "saw_target": False, "named": 40, "seconds": 1.0, "path": ""}
    verdict = {"verdict": "tells", "reason": "by people alone", "remedies": []}
    document = {"attack": "gmi", "undefended": undefended, "null": null, "verdict": verdict, "power": None}
    document |= dict.fromkeys(("ceiling", "positive", "sampler"))
    found = {}
    for name, spread in (("calm", 0.01), ("wild", 0.17)):
        book = OptunaStudy(cheap(name=name), home.storage, home.study(name) / "history")
        book.note(CONTROLS, document)
        assert study_records(home, name).reason == "by people alone"
        one = book.ask()
        seeds = [{"replicate": n, "values": values(0.5, 0.18 + spread * (n - 1))} for n in range(3)]
        replicated = result(0.5, values=values(0.5, 0.18), people={"attacked": 40, "found": 7})
        assert book.tell(one.number, {**replicated, "replicates": seeds}) == ""
        found[name] = study_records(home, name)
    assert found["calm"].verdict == "tells" and "training seeds" in found["calm"].reason
    assert found["wild"].verdict == "cannot tell" and found["wild"].to_json()["remedies"]


def chosen(home, cheap, result, rows, **changes):
    """Return the records of trials given as accuracy on test and on validation images, attack accuracy."""
    changed = [
        {"values": values(tested, attacked), "metrics": {"validation_accuracy": checked}}
        for tested, checked, attacked in rows
    ]
    return StudyRecords.from_json(told(home, cheap(**changes), changed, result))


ROWS = [(0.95, 0.7, 0.5), (0.6, 0.9, 0.5), (0.7, 0.5, 0.3), (0.99, 0.4, 0.4)]


def test_validation_images_choose_the_front_and_test_images_say_what_it_reaches(home, cheap, result):
    records = chosen(home, cheap, result, ROWS)
    assert dict(records.objectives) == {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
    assert dict(records.searched) == {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
    # By validation (0.9, 0.5) and (0.5, 0.3); the last looks best on test images and is on no front.
    assert [trial.number for trial in records.members] == [1, 2]
    assert [trial.values["test_accuracy"] for trial in records.members] == [0.6, 0.7]
    assert [trial.searched["validation_accuracy"] for trial in records.members] == [0.9, 0.5]
    # On test images the second member is better in both: the first stays, and adds nothing.
    assert [trial.number for trial in behind(records)] == [1]
    assert records.hypervolume == pytest.approx(0.7 * 0.7)
    assert [trial.number for trial in front(records)] == [2, 1]  # the highest test accuracy first
    assert [trial.number for trial in counted(records)] == [2, 1]
    assert "Searched and chosen by validation accuracy" in searched(records)


def test_a_study_of_an_older_version_has_the_front_of_its_test_images(home, cheap, result):
    records = chosen(home, cheap, result, ROWS, search={"accuracy": "test"})
    assert dict(records.searched) == dict(records.objectives)
    assert [trial.number for trial in records.members] == [2, 3]
    assert records.hypervolume == pytest.approx(0.99 * 0.6 + 0.7 * 0.1)
    assert [trial.number for trial in front(records)] == [3, 2]
    assert len(counted(records)) == 4 and behind(records) == []
    assert "chosen by test accuracy: that of the front is too high" in searched(records)


def test_a_limit_kept_on_validation_images_and_missed_on_test_images_is_named(home, cheap, result):
    records = chosen(home, cheap, result, ROWS, constraints=["test_accuracy >= 0.65"])
    assert [trial.feasible for trial in records.trials] == [True, True, False, False]
    assert records.trials[2].reason == "misses validation_accuracy >= 0.65"
    assert [list(trial.missed) for trial in records.trials] == [[], ["test_accuracy >= 0.65"], [], []]
    assert missed(records.trials) == {"test_accuracy >= 0.65": [1]}


def test_a_study_may_search_for_the_validation_accuracy_itself(home, cheap, result):
    objectives = {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
    records = chosen(home, cheap, result, ROWS, objectives=objectives)
    assert dict(records.searched) == objectives
    assert records.trials[1].values == {"validation_accuracy": 0.9, "attack_accuracy": 0.5}
    assert [trial.number for trial in records.members] == [1, 2]
    assert searched(records) == "" and not records.on_validation


def test_stages_of_seeds_and_confirmations_are_found_in_the_store_of_a_home_that_was_moved(home):
    own = home.store.root / "target" / "k1"
    own.mkdir(parents=True)
    there = home.root / "elsewhere" / "judge" / "k2"
    there.mkdir(parents=True)
    recorded = {"target": "/old/store/target/k1", "judge": str(there), "prior": "/old/store/prior/k3"}
    located = {**recorded, "target": str(own)}
    seed = {"replicate": 1, "artifacts": recorded}
    found = _located({"artifacts": recorded, "replicates": [seed], "data": {}}, home.store.root)
    assert found["artifacts"] == located
    assert found["replicates"] == [{"replicate": 1, "artifacts": located}]
    assert _located({"reason": "failed"}, home.store.root) == {"reason": "failed"}
