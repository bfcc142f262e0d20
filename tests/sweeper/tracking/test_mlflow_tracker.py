import json
import math
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sweeper.results.records import study_records
from sweeper.results.trial_record import TrialConfirmation
from sweeper.search.noise_replicates import NoiseReplicates
from sweeper.search.optuna_study import OptunaStudy
from sweeper.tracking import mlflow_tracker
from sweeper.tracking.mlflow_address import check_reachable
from sweeper.tracking.mlflow_tracker import EXPERIMENT, Tracker
from trainables.errors import ConfigError
from trainables.storage.disk import save


def test_mlflow_gets_each_trial_once_also_after_a_crash(home, cheap, result):
    from mlflow import MlflowClient

    study = cheap(trial={"attack": {"kind": "gmi"}}, tracking={"mlflow": True})
    book = OptunaStudy(study, home.storage, home.study("cheap") / "history")
    report = home.root / "report.html"
    report.write_text("<html></html>")

    def one(x):
        asked = book.ask()
        extra = {
            "params": asked.assignment,
            "strongest": "gmi",
            "attacks": {"gmi": {}, "kedmi": {}},
            "data": {"private": "p", "public": "q"},
            "version": "1",
        }
        book.tell(asked.number, result(x) | extra)
        return study_records(home, "cheap").trials[-1]

    def runs():
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
        found = client.search_runs([experiment])
        parents = [r for r in found if "mlflow.parentRunId" not in r.data.tags]
        return parents, {int(r.data.tags["trial.number"]): r for r in found if r not in parents}

    tracker = Tracker(study, home)
    tracker.trial(one(0.5))
    tracker.close()  # the driver is killed here: no finish
    assert tracker.problem == ""
    client = MlflowClient(tracking_uri=home.tracking)
    (parent,), children = runs()
    # a run that a killed driver left half written
    tags = {"mlflow.parentRunId": parent.info.run_id, "trial.number": "1"}
    half = client.create_run(parent.info.experiment_id, tags=tags).info.run_id
    first = children[0].info.run_id

    one(0.6)
    asked = book.ask()
    book.fail(asked.number, asked.assignment, "out of memory")
    again = Tracker(study, home)
    again.finish(study_records(home, "cheap"), report)
    assert again.problem == ""
    (parent,), children = runs()
    assert sorted(children) == [0, 1, 2]
    assert children[0].info.run_id == first
    assert children[1].info.run_id != half
    run = client.get_run(first)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"x": "0.5", "k": "a"}
    assert run.data.metrics["test_accuracy"] == 0.5
    assert run.data.metrics["attack_accuracy_low"] == 0.125
    assert run.data.metrics["seconds.target"] == 0.5
    assert [m.value for m in client.get_metric_history(first, "target.loss")] == [2.0, 1.0]
    assert [m.step for m in client.get_metric_history(first, "target.loss")] == [0, 1]
    wanted = {
        "state": "complete",
        "on_front": "true",
        "attack": "gmi",
        "attacks": "gmi, kedmi",
        "data.private": "p",
        "version": "1",
        "defense": "none",
        "freeze_point": "none",
    }
    assert wanted.items() <= run.data.tags.items()
    assert children[2].info.status == "FAILED" and children[2].data.tags["reason"] == "out of memory"
    assert {a.path for a in client.list_artifacts(parent.info.run_id)} >= {"report.html", "front.json"}
    assert parent.info.status == "FINISHED" and parent.data.metrics["trials"] == 2
    curve = client.get_metric_history(parent.info.run_id, "hypervolume")
    first_strip, second_strip = 0.5 * 0.75, 0.1 * 0.64  # accuracies 0.5 and 0.6, attacks 0.25 and 0.36
    wanted_volumes = [first_strip, first_strip + second_strip, first_strip + second_strip]
    assert [m.step for m in curve] == [1, 2, 3]
    assert [m.value for m in curve] == pytest.approx(wanted_volumes)
    table = client.download_artifacts(parent.info.run_id, "front.json", str(home.root))
    rows = json.loads(Path(table).read_text())
    assert [row[rows["columns"].index("number")] for row in rows["data"]] == [0, 1]

    renewed = Tracker(study, home, afresh=True)
    renewed.finish(study_records(home, "cheap"), report)
    assert renewed.problem == ""
    (other,), children = runs()
    assert other.info.run_id != parent.info.run_id and sorted(children) == [0, 1, 2]
    assert children[0].info.run_id != first and children[0].data.metrics == run.data.metrics


def test_a_study_that_failed_throughout_is_logged_whatever_it_searched_for(home, cheap):
    """A third objective without a worst has no reference point before anything was measured."""
    third = {"test_accuracy": "maximize", "attack_accuracy": "minimize", "train_seconds": "minimize"}
    study = cheap(objectives=third, tracking={"mlflow": True})
    book = OptunaStudy(study, home.storage, home.study("cheap") / "history")
    for _ in range(2):
        asked = book.ask()
        book.fail(asked.number, asked.assignment, "out of memory")
    tracker = Tracker(study, home)
    tracker.finish(study_records(home, "cheap"), None)
    assert tracker.problem == ""


# Questions of a user, and what finds their answer in MLflow: a filter, an order, and the trials found below.
SEARCHES = {
    "which trials are on the front?": ("tags.on_front = 'true'", "metrics.test_accuracy DESC", [1, 0]),
    "which freeze points are on the front?": (
        "tags.on_front = 'true' and tags.freeze_point != 'none'",
        "metrics.attack_accuracy ASC",
        [0],
    ),
    "which defended trials keep 80 % accuracy?": (
        "tags.state = 'complete' and tags.defense != 'none' and metrics.test_accuracy >= 0.8",
        "metrics.attack_accuracy ASC",
        [1],
    ),
    "which surely leak less than 30 %?": (
        "tags.kind = 'trial' and metrics.attack_accuracy_high < 0.3",
        "metrics.test_accuracy DESC",
        [0],
    ),
    "what does BiDO reach at weak weights?": (
        "tags.state = 'complete' and tags.defense = 'bido' and params.`defense.lambda_x` = '0.05'",
        "metrics.test_accuracy DESC",
        [1],
    ),
    "what failed, and why?": (
        "tags.state = 'failed' and tags.reason LIKE '%memory%'",
        "start_time DESC",
        [2],
    ),
    "what did screening skip?": ("tags.state = 'screened'", "metrics.`screening.attack_accuracy` DESC", [3]),
    "which members are sure?": ("metrics.front_probability >= 0.8", "metrics.front_probability DESC", [0]),
    "which trials saw these private images?": ("tags.`data.private` = 'p'", "start_time ASC", [0]),
    "where do the seconds go?": ("tags.state = 'complete'", "metrics.`seconds.target` DESC", [4, 0, 1]),
    "whose target is there to download?": ("tags.model = 'logged'", "metrics.test_accuracy DESC", []),
    "which trials are to be read with care?": (
        "tags.kind = 'trial' and tags.warnings != 'none'",
        "start_time ASC",
        [1],
    ),
    "which have a judge to doubt?": (
        "tags.kind = 'trial' and tags.warnings LIKE '%judge: %'",
        "start_time ASC",
        [1],
    ),
    "what was measured on this set-up?": (
        "tags.architecture = 'vgg16_bn' and tags.image_size = '64' and tags.prior = 'gmi' "
        "and tags.judge = 'classifier' and tags.state = 'complete'",
        "metrics.attack_accuracy ASC",
        [0, 1, 4],
    ),
    "which studies are there?": ("tags.kind = 'study'", "metrics.hypervolume DESC", [None]),
}


def test_a_saved_search_answers_each_question_also_after_a_resume_and_a_rebuild(home, cheap, result):
    import mlflow

    space = [{"defense.lambda_x": {"choice": [0.05, 0.1]}}, {"x": {"float": [0, 1]}}]
    trial = {
        "image_size": 64,
        "target": {"architecture": "vgg16_bn"},
        "defense": {"kind": "bido"},
        "prior": {"kind": "gmi"},
        "attack": {"kind": "gmi"},
        "judge": {"kind": "classifier"},
    }
    study = cheap(trial=trial, space=space)
    book = OptunaStudy(study, home.storage, home.study("cheap") / "history")

    def tell(accuracy, attack, **changes):
        asked = book.ask()
        ends = {"attack_accuracy": [attack - 0.05, attack + 0.05]}
        values = {"test_accuracy": accuracy, "attack_accuracy": attack}
        told = result(accuracy, values=values, interval=ends, **changes) | {"params": asked.assignment}
        told["params"]["defense.lambda_x"] = 0.05
        assert book.tell(asked.number, told) == ""

    def search(name):
        condition, order, _ = SEARCHES[name]
        found = mlflow.search_runs(
            experiment_names=[EXPERIMENT], filter_string=condition, order_by=[order], output_format="list"
        )
        return [int(n) if (n := run.data.tags.get("trial.number")) else None for run in found]

    def studies():
        condition = "tags.kind = 'study'"
        return mlflow.search_runs(
            experiment_names=[EXPERIMENT], filter_string=condition, output_format="list"
        )

    def write(**changes):
        records = study_records(home, "cheap")
        if len(records.trials) == 5:
            values = {"test_accuracy": 0.6}
            fresh = TrialConfirmation(values=values, seeds=3, attacks={"gmi": {}}, front_probability=0.9)
            first, *others = records.trials
            records = replace(records, trials=[replace(first, confirmed=fresh), *others])
        tracker = Tracker(study, home, **changes)
        tracker.finish(records, None)
        assert tracker.problem == ""

    tell(0.6, 0.2, freeze_point="conv2", data={"private": "p"}, seconds={"target": 2.0})
    weak = ["weak judge: its test accuracy is 0.830, below 0.9; attack accuracy is too low"]
    tell(0.9, 0.4, defense="bido", seconds={"target": 1.0}, warnings=weak)
    asked = book.ask()
    book.fail(asked.number, asked.assignment, "out of memory")
    short = {"attack_accuracy": 0.7, "interval": [0.5, 0.8], "reason": "trial 1 is better even so"}
    tell(0.5, 0.7, defense="mid", screening=short, seconds={"screening": 1.0})
    tell(0.3, 0.9, seconds={"target": 3.0})
    write()
    mlflow.set_tracking_uri(home.tracking)
    try:
        assert {name: search(name) for name in SEARCHES} == {name: s[2] for name, s in SEARCHES.items()}
        write(afresh=True)
        assert {name: search(name) for name in SEARCHES} == {name: s[2] for name, s in SEARCHES.items()}
        tell(0.95, 0.3)  # a resumed search finds one that beats trial 1, not trial 0
        write()
        assert search("which trials are on the front?") == [5, 0]
        assert [run.data.tags["warnings"] for run in studies()] == weak
        condition = "tags.architecture = 'vgg16_bn' and tags.judge = 'classifier' and tags.prior = 'gmi'"
        assert len(mlflow.search_runs(experiment_names=[EXPERIMENT], filter_string=condition)) == 1 + 6
        write(afresh=True)
        assert search("which trials are on the front?") == [5, 0]
    finally:
        mlflow.set_tracking_uri(None)


def test_two_drivers_open_one_new_store_at_the_same_time(home, cheap, result):
    from mlflow import MlflowClient

    trackers = []
    for name in ("one", "two"):
        study = cheap(name=name)
        book = OptunaStudy(study, home.storage, home.study(name) / "history")
        asked = book.ask()
        book.tell(asked.number, result(0.5) | {"params": asked.assignment})
        trackers.append(Tracker(study, home))
    for tracker, name in zip(trackers, ("one", "two"), strict=True):
        tracker.finish(study_records(home, name), None)
        assert tracker.problem == ""
    renewed = Tracker(study, home, afresh=True)  # of the second; the first's runs stay
    renewed.finish(study_records(home, "two"), None)
    assert renewed.problem == ""
    client = MlflowClient(tracking_uri=home.tracking)
    found = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert sorted((r.data.tags["study"], r.data.tags["kind"]) for r in found) == [
        (name, kind) for name in ("one", "two") for kind in ("study", "trial")
    ]


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql://u@127.0.0.1:9/x"])
def test_a_tracking_server_that_does_not_answer_is_named_soon(uri):
    began = time.monotonic()
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI"):
        check_reachable(uri)
    assert time.monotonic() - began < 15


def test_a_server_that_goes_away_costs_the_view_and_not_the_sweep(home, cheap, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/no-such-folder/x.db")
    tracker = Tracker(cheap(), home)
    tracker.trial({"number": 0, "state": "complete", "params": {}})
    tracker.close()
    assert "the study is safe" in tracker.problem
    with pytest.raises(ConfigError, match=r"or set tracking.mlflow to false"):
        tracker.check_open()


def test_a_study_that_is_cut_off_counts_as_killed_until_it_is_finished(home, finished):
    from mlflow import MlflowClient

    study, records = finished
    client = MlflowClient(home.tracking)

    def status():
        (run,) = client.search_runs(
            [client.get_experiment_by_name(EXPERIMENT).experiment_id], "tags.kind = 'study'"
        )
        return run.info.status

    for _ in range(2):
        with closing(Tracker(study, home)) as tracker:
            tracker.check_open()
            assert status() == "RUNNING"
            tracker.trial(records.trials[0])
        assert status() == "KILLED"
        tracker.close()
        assert status() == "KILLED"
    with closing(Tracker(study, home)) as tracker:
        tracker.check_open()
        assert status() == "RUNNING"
        tracker.finish(records, None)
        assert status() == "FINISHED"
    tracker.close()
    assert status() == "FINISHED" and tracker.problem == ""


def test_an_experiment_that_was_deleted_in_the_pages_is_restored(home, finished):
    from mlflow import MlflowClient

    study, records = finished
    first = Tracker(study, home)
    first.finish(records, None)
    client = MlflowClient(tracking_uri=home.tracking)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    client.delete_experiment(experiment)
    again = Tracker(study, home)
    again.check_open()
    again.finish(records, None)
    assert (first.problem, again.problem) == ("", "")
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    assert len(client.search_runs([experiment])) == 2  # the study and its trial, once


def test_with_a_database_artifacts_go_to_the_home_and_not_to_where_the_process_is(
    home, finished, tmp_path, monkeypatch
):
    study, records = finished
    place = tmp_path / "somewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home.root}/mlflow.db")
    tracker = Tracker(study, home)
    tracker.finish(records, None)
    assert tracker.problem == "" and list(place.iterdir()) == []
    assert list(home.artifacts.rglob("front.json"))


def test_artifacts_that_cannot_be_written_cost_no_number(home, finished, monkeypatch):
    from mlflow import MlflowClient

    study, records = finished
    client = MlflowClient(tracking_uri=home.tracking)
    (home.root / "file").write_text("")
    client.create_experiment(EXPERIMENT, artifact_location=f"file://{home.root}/file/below")
    report = home.root / "report.html"
    report.write_text("<html></html>")
    tries = []
    log = MlflowClient.log_dict
    monkeypatch.setattr(MlflowClient, "log_dict", lambda self, *a: tries.append(a) or log(self, *a))
    tracker = Tracker(study, home)
    tracker.check_open()
    tracker.finish(records, report)
    assert "has all numbers, but its artifacts cannot be written" in tracker.problem
    assert f"sweeper log cheap --rebuild --home {home.root}" in tracker.problem and len(tries) == 1
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    runs = {run.data.tags["kind"]: run for run in client.search_runs([experiment])}
    assert runs["trial"].data.metrics["test_accuracy"] == 0.5
    assert runs["trial"].data.tags["on_front"] == "true"
    assert runs["study"].data.metrics["hypervolume"] == pytest.approx(0.5 * 0.75)
    assert [run.info.status for run in runs.values()] == ["FINISHED"] * 2


@pytest.mark.parametrize(("failures", "problem"), [(2, ""), (3, "duplicate column")])
def test_a_store_that_another_driver_makes_at_the_same_time_is_tried_again(
    home, finished, failures, problem, monkeypatch
):
    study, records = finished
    opened = Tracker._open_experiment
    tries = []

    def open_experiment(self):
        tries.append(1)
        if len(tries) <= failures:
            raise RuntimeError("duplicate column name: step")
        opened(self)

    monkeypatch.setattr(Tracker, "_open_experiment", open_experiment)
    monkeypatch.setattr(mlflow_tracker, "RETRY_SECONDS", (0.0, 0.0))
    tracker = Tracker(study, home)
    tracker.finish(records, None)
    assert len(tries) == 3
    assert problem in tracker.problem and bool(problem) == bool(tracker.problem)


def test_an_address_is_shown_without_its_password(home, cheap, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:s3cret@127.0.0.1:9/x")
    monkeypatch.setattr(mlflow_tracker, "RETRY_SECONDS", ())
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)  # ten take 102 s
    tracker = Tracker(cheap(), home)
    tracker.close()
    assert "me:***@127.0.0.1:9" in tracker.problem and "s3cret" not in tracker.problem


def test_intervals_are_written_again_once_they_hold_training_seeds(home, cheap, result):
    from mlflow import MlflowClient

    study = cheap(trial={"defense": {"kind": "none"}}, search={"trials": 2}, tracking={"mlflow": True})
    trials = OptunaStudy(study, home.storage, home.study("cheap") / "history")
    source = NoiseReplicates(study, trials, home.storage)
    accuracy = 0.5

    def run(request):
        nonlocal accuracy
        accuracy += 0.03
        told = result(accuracy, people={"attacked": 40, "found": 3}) | {"params": request.assignment}
        assert source.tell(request.number, told) == ""

    run(source.ask())
    tracker = Tracker(study, home)
    tracker.trial(study_records(home, "cheap").trials[0])
    tracker.close()
    client = MlflowClient(tracking_uri=home.tracking)

    def low():
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
        children = client.search_runs([experiment], "tags.`trial.number` = '0'")
        return children[0].data.metrics["attack_accuracy_low"]

    before = study_records(home, "cheap").trials[0].interval["attack_accuracy"][0]
    assert low() == pytest.approx(before)
    while (request := source.ask()) is not None:
        run(request)
    records = study_records(home, "cheap")
    after = records.trials[0].interval["attack_accuracy"][0]
    assert after < before
    for _ in range(2):
        tracker = Tracker(study, home)
        tracker.finish(records, None)
        assert tracker.problem == ""
        assert low() == pytest.approx(after)


def test_a_second_confirmation_takes_the_place_of_the_first(home, finished):
    """Under as many seeds as before, too; what it does not say is no number any more."""
    from mlflow import MlflowClient

    study, records = finished
    client = MlflowClient(tracking_uri=home.tracking)
    (trial,) = records.trials
    values = {"test_accuracy": 0.5}
    first = TrialConfirmation(values=values, seeds=3, front_probability=0.9, fresh=("seeds",))
    told = {}
    for confirmed, figures in (
        (first, (0.5, 0.9)),
        (replace(first, values={"test_accuracy": 0.4}, front_probability=0.2), (0.4, 0.2)),
        (replace(first, front_probability=None, fresh=("seeds", "judge")), (0.5, None)),
        (None, (None, None)),
        (first, (0.5, 0.9)),
    ):
        tracker = Tracker(study, home)
        tracker.finish(replace(records, trials=[replace(trial, confirmed=confirmed)]), None)
        assert tracker.problem == ""
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
        (run,) = client.search_runs([experiment], "tags.kind = 'trial'")
        written = run.data.metrics
        found = (written["confirmed.test_accuracy"], written["front_probability"])
        assert tuple(None if math.isnan(value) else value for value in found) == figures
        sure = client.search_runs([experiment], "metrics.front_probability >= 0.1")
        assert len(sure) == (figures[1] is not None)
        told[str(confirmed)] = run.data.tags["confirmed"]
    assert len(set(told.values())) == len(told) == 4


def test_figures_against_the_undefended_trial_are_those_of_the_last_end(home, finished, monkeypatch):
    """When a trial ends they are not known, and after a resume they may be held against another trial."""
    from mlflow import MlflowClient

    study, records = finished
    client, written = MlflowClient(tracking_uri=home.tracking), []
    log = MlflowClient.log_batch

    def counted(self, run, metrics=(), params=(), **more):
        written.extend(metric.key for metric in metrics if metric.key.endswith("_ratio"))
        return log(self, run, metrics, params, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    (trial,) = records.trials
    tracker = Tracker(study, home)
    tracker.trial(trial)
    tracker.close()
    both = {"delta_ratio": 5.0, "training_time_ratio": 1.5}
    for ratios, count in (({}, 0), (both, 2), (both, 0), (both | {"delta_ratio": 4.0}, 1), ({}, 2), ({}, 0)):
        tracker, before = Tracker(study, home), len(written)
        tracker.finish(replace(records, trials=[replace(trial, metrics=trial.metrics | ratios)]), None)
        assert tracker.problem == "" and len(written) == before + count
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
        (run,) = client.search_runs([experiment], "tags.kind = 'trial'")
        known = {name: run.data.metrics[name] for name in both if name in run.data.metrics}
        assert {name: value for name, value in known.items() if not math.isnan(value)} == ratios


def test_pictures_that_are_wanted_later_are_added_once(home, finished, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    study, records = finished
    (trial,) = records.trials
    records = replace(records, trials=[replace(trial, artifacts={"attack": str(tmp_path)})])
    client, logged = MlflowClient(home.tracking), []
    log = MlflowClient.log_image
    monkeypatch.setattr(MlflowClient, "log_image", lambda self, *a: logged.append(a) or log(self, *a))

    def finish(images):
        changed = replace(study, tracking=replace(study.tracking, images=images))
        tracker = Tracker(changed, home)
        tracker.finish(records, None)
        assert tracker.problem == ""
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
        (run,) = client.search_runs([experiment], "tags.kind = 'trial'")
        assert run.data.tags["on_front"] == "true"
        files = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
        return run.data.tags.get("images"), "reconstructions.png" in files

    assert finish(False) == (None, False)
    tag, there = finish(True)  # nothing lies in the folder of the attack
    assert tag.startswith("missing: expected tensors ") and not there
    save({"images": torch.rand(2, 3, 3, 4, 4)}, tmp_path / "reconstructions.pt")
    for images in (False, True, True):
        found = finish(images)
    assert found == ("logged", True) and len(logged) == 1
