"""Sweeps over cheap trials on one Ray cluster: resumed, killed, out of disk; and what trials get."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import nullcontext

import optuna
import pytest
import yaml

from sweeper.engine.machines.cluster import Node, TrialResources
from sweeper.engine.progress import Silent
from sweeper.engine.runner import _Lost, useless
from sweeper.engine.sweep import _due, _keep, check_data, sweep
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import CONTROLS, STOPPED, stored_notes, stored_trials
from sweeper.study.loading import parse_study, stored_study
from trainables.errors import ConfigError, DiskError, TrialError
from trainables.stages.evaluation import useless_judge

DRIVER = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path

    from sweeper.storage.home import Home
    from sweeper.study.loading import parse_study
    from sweeper.engine.sweep import sweep

    root, address = Path(sys.argv[1]), sys.argv[2]
    starts = root / "starts"

    def run(trial, *, store_root, device, report):
        (starts / f"{trial['x']!r} {os.getpid()} {time.time_ns()}").touch()
        report("target", 1, 2)
        time.sleep(0.3)
        x = trial["x"]
        return {"values": {"test_accuracy": x, "attack_accuracy": x * x},
            "metrics": {"validation_accuracy": x}}

    study = parse_study(
        {
            "name": "killed",
            "trial": {},
            "space": [{"x": {"float": [0, 1]}}],
            "search": {"trials": 12},
            "tracking": {"mlflow": False},
        },
        "test",
    )
    sweep(study, Home(root / "home"), run=run, address=address, shared=False)
    """
)

TRACKING = {"mlflow": False, "images": False, "models": False}
ALONE = {"concurrent": 1}  # one worker to start instead of two


def counts(home, name):
    _, trials = stored_trials(home.storage, name)
    return [t["number"] for t in trials if t["state"] == "complete"]


def test_a_driver_that_is_killed_loses_nothing_and_repeats_nothing(tmp_path, home, ray_address):
    (tmp_path / "starts").mkdir()
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), str(tmp_path), ray_address]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    done = home.study("killed") / "history"

    driver = subprocess.Popen(command, env=environment, start_new_session=True)
    deadline = time.monotonic() + 300
    while (len(list(done.glob("*.json"))) if done.exists() else 0) < 4:
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()

    _, before = stored_trials(home.storage, "killed")
    finished = {repr(t["params"]["x"]) for t in before if t["state"] == "complete"}
    left = {t["number"] for t in before if t["state"] == "running"}
    assert len(finished) >= 3 and left

    subprocess.run(command, env=environment, check=True, timeout=300)
    _, after = stored_trials(home.storage, "killed")
    complete = [t for t in after if t["state"] == "complete"]
    assert len(after) == len(complete) == len({t["number"] for t in after}) == 12
    assert len({t["params"]["x"] for t in complete}) == 12
    assert left <= {t["number"] for t in complete}  # what was running ended under its own number
    starts = [path.name.split()[0] for path in (tmp_path / "starts").iterdir()]
    assert all(starts.count(x) == 1 for x in finished)
    assert len(starts) <= 12 + len(left)


FACES = {"kind": "image_folder", "root": "faces"}


def test_relative_paths_of_a_study_reach_the_workers(tmp_path, home, cheap, result, ray_address, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces").mkdir()

    def run(trial, *, store_root, device, report):
        import os

        return result(1.0 if os.path.isdir(trial["private"]["root"]) else 0.0)

    study = cheap(trial={"private": FACES}, search={"trials": 2}, resources=ALONE)
    outcome = sweep(study, home, run=run, shared=False)
    assert [trial.values["test_accuracy"] for trial in outcome.records.trials] == [1.0, 1.0]
    assert study.definition()["trial"] == {"private": FACES}  # a study may move with its data


def test_a_killed_worker_is_replaced_and_its_trial_counts_once(
    tmp_path, home, cheap, result, ray_address, monkeypatch
):
    monkeypatch.setattr("sweeper.engine.runner.WORKER_RETRIES", 1)

    def run(trial, *, store_root, device, report):
        import os
        import signal

        mark = tmp_path / f"{trial['a']}"
        if trial["a"] == 3 or (trial["a"] == 2 and not mark.exists()):
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return result(trial["a"] / 10)

    space = [{"a": {"ordered": [1, 2, 3, 4]}}]
    outcome = sweep(cheap(space=space, resources=ALONE), home, run=run, shared=False)
    trials = outcome.records.trials
    assert sorted((trial.params["a"], trial.state) for trial in trials) == [
        (1, "complete"),
        (2, "complete"),
        (3, "failed"),
        (4, "complete"),
    ]
    (dead,) = [trial for trial in trials if trial.state == "failed"]
    assert "worker died (killed, or out of memory)" in dead.reason


def test_failed_trials_keep_their_reason_and_the_sweep_goes_on(home, cheap, result, ray_address):
    def run(trial, *, store_root, device, report):
        match trial["a"]:
            case "trial":
                raise TrialError("the loss is not finite in epoch 3")
            case "config":
                raise ConfigError("no such folder")
            case "memory":
                raise MemoryError
            case "nan":
                return result(float("nan"))
        return result(0.5)

    space = [{"a": {"choice": ["fine", "trial", "config", "memory", "nan", "also fine"]}}]
    outcome = sweep(cheap(space=space, resources=ALONE), home, run=run, shared=False)
    reasons = {trial.params["a"]: trial.reason for trial in outcome.records.trials if trial.state == "failed"}
    assert reasons["trial"] == "the loss is not finite in epoch 3"
    assert reasons["config"] == "no such folder"
    assert "out of memory" in reasons["memory"]
    assert "finite" in reasons["nan"]
    assert len(counts(home, "cheap")) == 2
    assert {trial.params["a"] for trial in outcome.records.members} == {"fine", "also fine"}
    assert not outcome.failure


@pytest.mark.parametrize(
    ("count", "reason"), [(2, "no trial has a result"), (20, "gave up after 10 failed trials")]
)
def test_a_sweep_whose_trials_all_fail_has_failed(home, cheap, ray_address, count, reason):
    def run(trial, *, store_root, device, report):
        raise TrialError("the loss is not finite in epoch 3")

    study = cheap(space=[{"a": {"choice": list(range(count))}}], search={"trials": 2}, resources=ALONE)
    assert reason in sweep(study, home, run=run, shared=False).failure


def test_a_full_disk_stops_the_sweep_and_the_next_start_goes_on(tmp_path, home, cheap, result, ray_address):
    def run(trial, *, store_root, device, report):
        if trial["a"] == 2 and not (tmp_path / "freed").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return result(trial["a"] / 10)

    study = cheap(space=[{"a": {"ordered": [1, 2, 3]}}], resources=ALONE)
    with pytest.raises(DiskError):
        sweep(study, home, run=run, shared=False)
    before = counts(home, "cheap")
    (tmp_path / "freed").touch()
    outcome = sweep(study, home, run=run, shared=False)
    assert outcome.before == len(before)
    assert len(outcome.records.trials) == 3  # the stopped one ended under its own number
    assert {trial.state for trial in outcome.records.trials} == {"complete"}
    assert outcome.report.exists()


def test_a_study_file_that_does_not_fit_leaves_the_one_before(home, cheap, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = home.study("cheap")
    folder.mkdir(parents=True)
    _keep(cheap(), home)
    before = (folder / "study.yaml").read_text()
    assert yaml.safe_load(before)["name"] == "cheap"
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        _keep(cheap(search={"trials": 7}), home)
    assert (folder / "study.yaml").read_text() == before
    assert [path.name for path in folder.iterdir()] == ["study.yaml"]


def test_what_may_change_is_kept_of_a_complete_study_too(home, cheap, result, monkeypatch):
    """`confirm`, `analyze` and `export` read the kept file, and know no other settings."""
    first = cheap(search={"trials": 2}, tracking={"mlflow": False, "images": True}, controls=False)
    book = OptunaStudy(first, home.storage, home.study("cheap") / "history")
    while (request := book.ask()) is not None:
        book.tell(request.number, result(request.number / 10) | {"params": request.assignment})
    monkeypatch.setattr("sweeper.engine.sweep.cluster", None)  # nothing is left to run
    kept = home.study("cheap") / "study.yaml"
    for images, concurrent in ((True, 1), (False, 2)):
        changes = {"tracking": {"mlflow": False, "images": images}, "resources": {"concurrent": concurrent}}
        sweep(cheap(search={"trials": 2}, controls=False, **changes), home, run=None, shared=False)
        stored = stored_study(kept.parent)
        assert (stored.tracking.images, stored.resources.concurrent) == (images, concurrent)
    with pytest.raises(ConfigError, match="must keep its trial"):
        sweep(cheap(search={"trials": 2}, space=[{"x": {"float": [0, 2]}}]), home, run=None, shared=False)
    assert stored_study(kept.parent) == stored


def test_what_mlflow_shall_have_of_a_complete_study_is_written_when_it_changes(
    home, cheap, result, monkeypatch
):
    """Pictures and targets may be wanted later; a study that is written is not opened in MLflow again."""
    book = OptunaStudy(cheap(), home.storage, home.study("cheap") / "history")
    while (asked := book.ask()) is not None:
        book.tell(asked.number, result(asked.assignment["x"]) | {"params": asked.assignment})
    opened = []

    class Written:
        problem = ""

        def finish(self, records, report):
            assert len(records.complete) == 6

        def close(self):
            pass

    monkeypatch.setattr(
        "sweeper.engine.sweep._tracker", lambda study, home, **_: opened.append(study.tracking) or Written()
    )
    book.note("closed", 6)  # as an older version left it
    for tracking, count in (
        ({"models": False}, 1),
        ({}, 1),
        ({"models": True}, 2),
        ({"models": True}, 2),
        ({"models": True, "images": True}, 3),
        ({}, 4),
        ({}, 4),
    ):
        study = cheap(tracking=tracking, controls=False)
        assert sweep(study, home, run=lambda trial, **_: {}, shared=False).problems == []
        assert len(opened) == count and opened[-1] == study.tracking
    Written.problem = "MLflow failed"
    for count in (5, 6):
        assert (
            "MLflow failed"
            in sweep(cheap(tracking={"images": True}), home, run=lambda trial, **_: {}, shared=False).problems
        )
        assert len(opened) == count


def test_every_trial_runs_under_its_seeds_and_a_complete_study_starts_nothing(
    home, cheap, result, ray_address, monkeypatch
):
    study = cheap(search={"trials": 2, "replicates": 2}, resources=ALONE, controls=False)
    told = sweep(
        study, home, run=lambda trial, **_: result(trial["x"] + trial["replicate"] / 10), shared=False
    ).records
    for trial in told.trials:
        assert [seed.replicate for seed in trial.replicates] == [0, 1]
        assert trial.values["test_accuracy"] == pytest.approx(trial.params["x"] + 0.05)
        assert trial.interval["test_accuracy"][0] < trial.params["x"]

    def refuse(address):
        raise AssertionError("Ray was started")

    monkeypatch.setattr("sweeper.engine.sweep.cluster", refuse)
    outcome = sweep(study, home)
    assert outcome.before == 2 and len(outcome.records.trials) == 2


def test_noise_replicates_run_beside_the_trials_and_widen_every_interval(home, cheap, result, ray_address):
    said = []

    class Shown(Silent):
        def ended(self, who, text):
            said.append(who)

    def run(trial, *, store_root, device, report):
        rate = 0.3 + 0.05 * trial.get("replicate", 0) + trial["x"] / 100
        values = {"test_accuracy": 0.8, "attack_accuracy": rate}
        interval = {"attack_accuracy": [rate - 0.1, rate + 0.1]}
        return result(0.5, values=values, interval=interval, people={"attacked": 50, "found": 9})

    study = cheap(trial={"defense": {"kind": "none"}}, search={"trials": 4}, resources=ALONE)
    outcome = sweep(study, home, run=run, shared=False, display=Shown())
    assert outcome.problems == []
    again = {f"trial {trial} again, seed {seed}" for trial in (0, 1) for seed in (1, 2)}
    assert set(said) == {"trial 0", "trial 1", "trial 2", "trial 3"} | again and len(said) == 8
    assert counts(home, "cheap") == [0, 1, 2, 3]
    assert outcome.records.seed_noise.freedom == 4
    for trial in outcome.records.complete:
        low, high = trial.interval["attack_accuracy"]
        assert low < trial.values["attack_accuracy"] - 0.1 and trial.values["attack_accuracy"] + 0.1 < high
    sweep(study, home, run=None, shared=False)  # nothing to run


def test_an_address_where_nothing_listens_is_named_soon(home, cheap, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"expected a Ray cluster at 127\.0\.0\.1:1,"):
        sweep(cheap(), home, address="127.0.0.1:1", shared=False)
    assert time.monotonic() - began < 15


def test_shared_stages_come_first_and_their_failure_ends_the_sweep(
    tmp_path, home, cheap, result, ray_address, monkeypatch
):
    monkeypatch.setattr(
        "sweeper.engine.shared_stages.INGREDIENTS", {"prior": ("prior",), "judge": ("judge", "k")}
    )

    def make(trial, stage, *, store_root, device, report):
        report(stage, 1, 2)
        (tmp_path / stage).touch()
        if (tmp_path / "broken").exists() and stage == "prior":
            raise ConfigError("the public data is missing")
        return {}

    def run(trial, *, store_root, device, report):
        assert (tmp_path / "prior").exists()
        assert not (tmp_path / "judge").exists()  # the space varies it: trials make it themselves
        return result(trial["x"])

    (tmp_path / "broken").touch()
    with pytest.raises(ConfigError, match="the public data is missing"):
        sweep(cheap(controls=False), home, run=run, make=make)
    assert counts(home, "cheap") == []
    (tmp_path / "broken").unlink()
    study = cheap(search={"trials": 2}, resources=ALONE, controls=False)
    outcome = sweep(study, home, run=run, make=make, display=Silent())
    assert [trial.state for trial in outcome.records.trials] == ["complete"] * 2


def test_a_useless_judge_is_read_from_a_trials_warnings():
    reason = useless_judge(0.1, identities=10)
    assert useless({"warnings": ["weak target: 0.1", reason]}) == reason
    assert useless({"warnings": ["weak judge: 0.8"]}) == useless({}) == useless({"warnings": None}) == ""


class Told(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def test_a_trial_that_shows_a_useless_judge_stops_the_sweep_until_anyway(home, cheap, result, ray_address):
    study, told = cheap(search={"trials": 4}, resources=ALONE), Told()

    def run(trial, **_):
        return result(0.9, warnings=["useless judge: its test accuracy is 0.450, below half the target's"])

    with pytest.raises(TrialError, match=r"useless judge: its test accuracy is 0\.450.*--anyway"):
        sweep(study, home, run=run, shared=False, display=told)
    done = len(counts(home, "cheap"))
    assert 1 <= done < 4  # the first trial shows it, and is kept
    assert [text for text in told.said if text.startswith("WARNING")] == [
        "WARNING: useless judge: its test accuracy is 0.450, below half the target's (trial 0)"
    ]
    with pytest.raises(TrialError, match="--anyway"):
        sweep(study, home, run=run, shared=False)
    assert len(counts(home, "cheap")) == done  # told before any work
    outcome = sweep(study, home, run=run, shared=False, anyway=True)
    assert len(outcome.records.trials) == 4


def test_a_cluster_on_which_no_trial_fits_any_more_is_told_of_once(monkeypatch):
    said, there = [], [Node(1, 0)]
    monkeypatch.setattr("sweeper.engine.runner.LOOK_SECONDS", 0)
    monkeypatch.setattr("sweeper.engine.runner.machines", lambda: there)
    display = Silent()
    display.say = said.append
    lost = _Lost(TrialResources(2, 0, 1, 2, 0), display)
    for there in ([Node(2, 0)], [Node(1, 0)], [], [Node(1, 0), Node(4, 0)], [Node(4, 0)]):  # noqa: B007
        lost.look()
    assert len(said) == 2
    assert "no machine with 2 cores and 0 GPUs is left; waiting" in said[0] and "is back" in said[1]


def test_what_mlflow_refuses_is_told_before_any_trial(home, cheap, ray_address, monkeypatch):
    from sweeper.tracking import mlflow_tracker

    def refuse(self):
        raise OSError("no rights on the experiment")

    def run(trial, **_):
        raise AssertionError("a trial ran")

    monkeypatch.setattr(mlflow_tracker.Tracker, "_open_experiment", refuse)
    study = cheap(tracking={"mlflow": True})
    with pytest.raises(ConfigError, match=r"no rights on the experiment.*tracking.mlflow to false"):
        sweep(study, home, run=run, address=ray_address, shared=False)
    assert counts(home, "cheap") == []


def test_a_study_that_is_begun_takes_over_no_runs_of_a_deleted_one(home, cheap, monkeypatch):
    """MLflow would show their figures, under the numbers of the new trials."""
    asked = []

    def tracker(study, home, *, begins):
        asked.append(begins)
        raise InterruptedError

    monkeypatch.setattr("sweeper.tracking.mlflow_tracker.Tracker", tracker)
    study = cheap(tracking={"mlflow": True})

    def start():
        with pytest.raises(InterruptedError):
            sweep(study, home, run=None, shared=False)
        return asked.pop()

    assert start()
    OptunaStudy(study, home.storage, home.study("cheap") / "history").ask()
    assert not start()
    optuna.delete_study(study_name="cheap", storage=home.storage)
    assert start()


def test_a_start_that_is_cut_off_anywhere_leaves_no_running_run_in_mlflow(home, cheap, result, monkeypatch):
    from mlflow import MlflowClient

    study = cheap(tracking={"mlflow": True}, search={"trials": 2}, controls=False)
    client = MlflowClient(home.tracking)

    def trials(study, home, source, *_, **__):
        assert status() == "RUNNING"
        filled, ends = steps.pop(0)
        while filled and (asked := source.ask()) is not None:
            source.tell(asked.number, result(asked.assignment["x"]) | {"params": asked.assignment})
        raise ends

    def status():
        experiment = client.get_experiment_by_name("sweeper").experiment_id
        (run,) = client.search_runs([experiment], "tags.kind = 'study'")
        return run.info.status

    def start():
        return sweep(study, home, run=lambda trial, **_: {}, shared=False)

    monkeypatch.setattr("sweeper.engine.sweep.cluster", lambda address: nullcontext([Node(2, 0)]))
    monkeypatch.setattr("sweeper.engine.sweep.run_trials", trials)
    steps = [(False, KeyboardInterrupt()), (False, TrialError("lost")), (True, KeyboardInterrupt())]
    while steps:
        with pytest.raises((KeyboardInterrupt, TrialError)):
            start()
        assert status() == "KILLED"
    with monkeypatch.context() as patch, pytest.raises(DiskError):
        patch.setattr("sweeper.engine.sweep.study_records", refuse_disk)
        start()
    assert status() == "KILLED"
    assert start().problems == []
    assert status() == "FINISHED"


@pytest.mark.parametrize("fails", [False, True])
def test_mlflow_gets_the_report_that_has_the_conclusion(home, cheap, result, fails, monkeypatch):
    book = OptunaStudy(cheap(), home.storage, home.study("cheap") / "history")
    while (asked := book.ask()) is not None:
        book.tell(asked.number, result(asked.assignment["x"]) | {"params": asked.assignment})
    written = []

    class Written:
        problem = ""

        def finish(self, records, report):
            written.append(report.read_text())

        def close(self):
            pass

    def conclude(records):
        if fails:
            raise TrialError("no conclusion")
        found = {
            "analysis": "a",
            "study": "cheap",
            "rows": [],
            "sentences": ["so it is"],
            "does_not_show": "x",
        }
        (home.study(records.study) / "analysis.json").write_text(json.dumps(found))

    monkeypatch.setattr("sweeper.engine.sweep._tracker", lambda study, home, **_: Written())
    with pytest.raises(TrialError) if fails else nullcontext():
        sweep(cheap(), home, run=lambda trial, **_: {}, shared=False, conclude=conclude)
    assert ["so it is" in page for page in written] == [not fails]
    closed = stored_notes(home.storage, "cheap").get("closed")
    assert closed == (
        None if fails else {"trials": 6, **TRACKING}
    )  # MLflow is written again where a conclusion is still to come


def refuse_disk(*_):
    raise DiskError(errno.ENOSPC, "full")


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("OPTUNA_STORAGE", "sqlite://"),
        ("MLFLOW_TRACKING_URI", "localhost:5000"),
        ("MLFLOW_TRACKING_URI", "./mlruns"),
        ("MLFLOW_TRACKING_URI", "sqlite:///{root}/optuna.db"),
    ],
)
def test_a_place_that_cannot_be_used_is_told_before_ray_starts(home, cheap, variable, url, monkeypatch):
    def refuse(address):
        raise AssertionError("Ray was started")

    monkeypatch.setattr("sweeper.engine.sweep.cluster", refuse)
    monkeypatch.setenv(variable, url.format(root=home.root))
    with pytest.raises(ConfigError, match=variable):
        sweep(cheap(tracking={"mlflow": True}), home, shared=False)


def test_controls_that_a_study_lacks_are_still_to_come(cheap):
    """Of a start that was cut off, where they failed, and where the study wants others by now."""
    wanting, none = cheap(), cheap(controls=False)
    measured = {STOPPED: {"due": False}, CONTROLS: {"options": {}, "verdict": {}}}
    assert not _due(wanting, measured, True)
    assert _due(wanting, {**measured, STOPPED: {"due": True}}, True)
    assert _due(wanting, {STOPPED: {"due": False}}, True)  # their worker died
    assert _due(cheap(controls={"sampler": False}), measured, True)
    assert not _due(none, {STOPPED: {"due": False}}, True)
    assert not _due(wanting, {}, False)  # trials that are no trials


def test_a_missing_extra_of_any_defense_of_the_space_is_told_before_any_work(monkeypatch):
    faces = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
    trial = {
        "image_size": 32,
        "private": faces,
        "public": {**faces, "population": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
        "attack": {"kind": "gmi", "iterations": 1},
        "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
    }
    studies = {
        space: parse_study(
            {
                "name": "s",
                "trial": trial,
                "space": [space],
                "search": {"trials": 2},
                "tracking": {"mlflow": False},
            },
            "test",
        )
        for space in ("dp_sgd", "defenses")
    }
    check_data(studies["dp_sgd"])
    monkeypatch.setitem(sys.modules, "opacus.optimizers", None)
    with pytest.raises(ConfigError, match=r"expects opacus, .*inversion-sweeper\[dp\]"):
        check_data(studies["dp_sgd"])
    check_data(studies["defenses"])  # needs no extra
    studies["defenses"].trial["metrics"] = ["prdc_recall", {"kind": "lpips", "path": "nowhere.pth"}]
    (text,) = [text for text in check_data(studies["defenses"]) if "lpips" in text]
    assert text.startswith("not measured unless it comes: lpips needs a file of weights, got none at")
