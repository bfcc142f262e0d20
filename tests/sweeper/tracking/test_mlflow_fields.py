"""What MLflow is told of a trial."""

import json

import pytest
from records import as_trial

from sweeper.tracking.mlflow_fields import confirmed_under, figures, fresh_figures, study_tags, tags, view


def test_figures_are_finals_and_curves():
    record = {
        "values": {"test_accuracy": 0.5},
        "interval": {"attack_accuracy": [0.1, 0.2]},
        "metrics": {"top5": 0.3, "none": None},
        "history": {"target": [{"loss": 2.0, "note": "x"}, {"loss": 1.0}]},
    }
    assert sorted(figures(as_trial(record))) == [
        ("attack_accuracy_high", 0.2, 0),
        ("attack_accuracy_low", 0.1, 0),
        ("target.loss", 1.0, 1),
        ("target.loss", 2.0, 0),
        ("test_accuracy", 0.5, 0),
        ("top5", 0.3, 0),
    ]


def test_the_distance_of_the_pre_training_is_a_metric_with_its_interval():
    record = {"metrics": {"probe_accuracy": 0.5}, "interval": {"probe_accuracy": [0.4, 0.6]}}
    assert sorted(figures(as_trial(record))) == [
        ("probe_accuracy", 0.5, 0),
        ("probe_accuracy_high", 0.6, 0),
        ("probe_accuracy_low", 0.4, 0),
    ]


def test_a_screened_trial_tells_what_its_short_attack_reached():
    short = {"attack_accuracy": 0.5, "interval": [0.25, 0.75], "test_accuracy": 0.9, "reason": "beaten"}
    assert sorted(figures(as_trial({"state": "screened", "screening": short}))) == [
        ("screening.attack_accuracy", 0.5, 0),
        ("screening.attack_accuracy_high", 0.75, 0),
        ("screening.attack_accuracy_low", 0.25, 0),
        ("screening.test_accuracy", 0.9, 0),
    ]


def test_fresh_measurements_are_named_apart_from_the_searchs():
    fresh = {
        "values": {"test_accuracy": 0.5},
        "interval": {"attack_accuracy": [0.1, 0.2]},
        "front_probability": None,
        "seeds": 3,
    }
    assert fresh_figures(as_trial({"confirmed": fresh})) == {
        "confirmed.test_accuracy": 0.5,
        "confirmed.attack_accuracy_low": 0.1,
        "confirmed.attack_accuracy_high": 0.2,
        "confirmed.seeds": 3.0,
    }
    assert fresh_figures(as_trial({"confirmed": None})) == {}


def test_each_confirmation_says_what_it_is():
    """Whatever of it changes, or its figures would stay those of the one before."""
    first = {
        "seeds": 3,
        "attacks": {"map": {}, "gmi": {}},
        "fresh": ["seeds", "judge"],
        "values": {"test_accuracy": 0.5},
        "interval": {"attack_accuracy": [0.1, 0.2]},
        "front_probability": 0.9,
    }
    others = [
        {"seeds": 4},
        {"attacks": {"map": {}}},
        {"fresh": ["seeds"]},
        {"values": {"test_accuracy": 0.51}},
        {"interval": {"attack_accuracy": [0.1, 0.21]}},
        {"front_probability": None},
    ]
    told = [confirmed_under(as_trial({"confirmed": first | other})) for other in ({}, *others)]
    assert told[0].startswith("3 seeds, map, gmi; fresh: seeds, judge; ") and len(set(told)) == 7
    assert confirmed_under(as_trial({"confirmed": dict(reversed(first.items()))})) == told[0]
    assert confirmed_under(as_trial({"confirmed": None})) == ""


def test_a_failed_trial_is_tagged_by_its_settings(cheap):
    trial = {"attack": [{"kind": "kedmi"}], "target": {"freeze_point": "conv2"}, "defense": {"kind": "none"}}
    study = cheap(trial=trial, space=[{"defense.kind": {"choice": ["mid", "none"]}}])
    record = {"number": 3, "state": "failed", "params": {"defense.kind": "mid"}, "reason": "x" * 600}
    assert tags(study, as_trial(record)) == {
        "trial.number": "3",
        "kind": "trial",
        "study": "cheap",
        "state": "failed",
        "on_front": "false",
        "defense": "mid",
        "freeze_point": "conv2",
        "attack": "kedmi",
        "reason": "x" * 500,
        "warnings": "none",
    }


def test_the_set_up_is_tagged_whatever_the_shape_of_the_document(cheap):
    trial = {
        "image_size": 32,
        "target": {"architecture": "small_cnn"},
        "prior": {"kind": "gmi"},
        "attack": [{"kind": "gmi"}, {"kind": "kedmi", "prior": {"kind": "kedmi"}}, {"kind": "vmi"}],
        "judge": {"kind": "embedder"},
    }
    study = cheap(trial=trial, space=[{"target.architecture": {"choice": ["small_cnn", "resnet18"]}}])
    told = {
        "params": {"target.architecture": "resnet18"},
        "warnings": ["weak judge: 0.8", "weak target: 0.1"],
    }
    setup = {"image_size": "32", "prior": "gmi, kedmi", "judge": "embedder"}
    of_trial = tags(study, as_trial(told))
    assert of_trial.items() >= {**setup, "architecture": "resnet18"}.items()
    assert of_trial["warnings"] == "weak judge: 0.8; weak target: 0.1"
    of_study = study_tags(study, [as_trial(told), as_trial({**told, "number": 1})])
    assert of_study == {
        **setup,
        "architecture": "small_cnn",
        "searched": "validation_accuracy maximize, attack_accuracy minimize",
        "warnings": "weak judge: 0.8; weak target: 0.1",
    }
    plain = study_tags(cheap(search={"accuracy": "test"}))
    assert plain == {"searched": "test_accuracy maximize, attack_accuracy minimize", "warnings": "none"}


def test_many_warnings_fit_into_a_tag(cheap):
    many = [f"kind {'ab' * number}: {'x' * 100}" for number in range(100)]
    assert 3000 < len(tags(cheap(), as_trial({"warnings": many}))["warnings"]) <= 5000


@pytest.mark.parametrize(("direction", "ascending"), [("maximize", False), ("minimize", True)])
def test_the_page_of_runs_begins_with_the_best_in_the_first_objective(direction, ascending):
    shown = json.loads(view({"attack_accuracy": direction, "test_accuracy": "maximize"}))
    assert shown["selectedColumns"][:2] == ["metrics.`attack_accuracy`", "metrics.`test_accuracy`"]
    assert (shown["orderByKey"], shown["orderByAsc"]) == ("metrics.`attack_accuracy`", ascending)


def test_every_judge_is_a_tag_and_a_search_for_one_finds_the_first(cheap):
    judges = [{"kind": "classifier", "architecture": "small_cnn"}, {"kind": "embedder", "path": "e.pt"}]
    study = cheap(trial={"judge": judges}, space=[{"target.epochs": {"choice": [1, 2]}}])
    assert study_tags(study)["judge"] == "classifier, embedder"
    assert study_tags(cheap(trial={"judge": judges[0]}))["judge"] == "classifier"


def test_what_other_judges_say_is_a_number_of_the_trial():
    metrics = {"judge_2.agreement": 0.8, "judge_2.false_positive_rate": 0.25, "attack_accuracy_verified": 0.4}
    record = {"metrics": metrics, "interval": {"attack_accuracy_verified": [0.3, 0.5]}}
    assert sorted(figures(as_trial(record))) == [
        ("attack_accuracy_verified", 0.4, 0),
        ("attack_accuracy_verified_high", 0.5, 0),
        ("attack_accuracy_verified_low", 0.3, 0),
        ("judge_2.agreement", 0.8, 0),
        ("judge_2.false_positive_rate", 0.25, 0),
    ]
