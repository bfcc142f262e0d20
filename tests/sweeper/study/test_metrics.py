"""One table of metrics, read as text: it must say what the classes say once they are imported."""

import subprocess
import sys

import pytest

from sweeper.study.metrics import (
    column_metrics,
    find_metric,
    objective_metrics,
    reconstruction_metrics,
    trial_metrics,
)
from sweeper.study.objectives import bound, measured
from trainables.metrics import METRICS


@pytest.mark.parametrize("name", METRICS)
def test_the_text_says_what_the_class_says(name):
    read, metric = reconstruction_metrics()[name], METRICS[name]
    words = name.replace("_", " ")
    expected = {
        **{field: getattr(metric, field) for field in ("summary", "source", "direction", "low", "high")},
        **{field: getattr(metric, field) for field in ("unit", "objective", "auxiliary")},
        "label": metric.label or words,
        "short_label": metric.short_label or metric.label or words,
        "explanation": metric.explanation or metric.summary,
        "name": name,
        "reconstruction": True,
    }
    assert {field: getattr(read, field) for field in expected} == expected


def test_the_order_is_that_of_the_registry():
    assert list(reconstruction_metrics()) == list(METRICS)
    assert [metric.name for metric in column_metrics()] == [
        name for name, metric in METRICS.items() if not metric.auxiliary and not metric.optional
    ]
    assert {"fid", "lpips"} <= {metric.name for metric in column_metrics({"fid", "lpips"})}


def test_objectives_are_what_the_metrics_say():
    searched = {name for name, metric in METRICS.items() if metric.objective}
    assert set(objective_metrics()) == searched | {
        "test_accuracy",
        "validation_accuracy",
        "attack_accuracy",
        "train_seconds",
    }


@pytest.mark.parametrize("name", trial_metrics())
def test_every_metric_is_whole(name):
    metric = trial_metrics()[name]
    assert metric.name == name and metric.summary and metric.unit and metric.label and metric.short_label
    assert metric.direction in ("maximize", "minimize")
    assert bound(name, "maximize") == metric.low and bound(name, "minimize") == metric.high
    if metric.unit == "share":
        assert (metric.low, metric.high) == (0.0, 1.0)
    if metric.objective:
        result = {"values": {}, "metrics": {name: 0.5}, "seconds": {"target": 0.5}}
        assert measured(result, name) == 0.5


def test_a_figure_of_one_attack_is_its_metrics():
    assert find_metric("lomma_gmi.knn_distance") is find_metric("knn_distance") is not None
    assert find_metric("loss") is find_metric("knn_distance.more") is None


def test_a_figure_of_the_judge_that_counts_is_that_of_any_judge():
    for name in ("equal_error_rate", "true_acceptance", "false_acceptance"):
        metric, own = find_metric(name), find_metric(f"judge_{name}")
        assert (own.unit, own.low, own.high, own.direction) == ("share", 0.0, 1.0, metric.direction)
        assert (own.name, own.label) == (f"judge_{name}", f"judge {metric.label}")
        assert find_metric(f"judge_2.{name}") is metric
    assert find_metric("judge_test_accuracy") is trial_metrics()["judge_test_accuracy"]
    assert find_metric("judge_knn_distance") is find_metric("judge_threshold") is None


def test_the_table_needs_no_torch():
    code = "import sys, sweeper.study.metrics as m; m.trial_metrics(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
