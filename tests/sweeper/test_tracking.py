import json
import time
from pathlib import Path

import pytest

from sweeper.ledger import Ledger
from sweeper.records import study_records
from sweeper.tracking import EXPERIMENT, Tracker, check_reachable, figures
from trainables.errors import ConfigError


def test_mlflow_gets_each_trial_once_also_after_a_crash(home, cheap, result):
    from mlflow import MlflowClient

    study = cheap(trial={"attack": {"kind": "gmi"}}, tracking={"mlflow": True})
    book = Ledger(study, home.storage, home.study("cheap") / "history")
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
        return study_records(home, "cheap")["trials"][-1]

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


def test_figures_are_finals_and_curves():
    record = {
        "values": {"test_accuracy": 0.5},
        "interval": {"attack_accuracy": [0.1, 0.2]},
        "metrics": {"top5": 0.3, "none": None},
        "history": {"target": [{"loss": 2.0, "note": "x"}, {"loss": 1.0}]},
    }
    assert sorted(figures(record)) == [
        ("attack_accuracy_high", 0.2, 0),
        ("attack_accuracy_low", 0.1, 0),
        ("target.loss", 1.0, 1),
        ("target.loss", 2.0, 0),
        ("test_accuracy", 0.5, 0),
        ("top5", 0.3, 0),
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
