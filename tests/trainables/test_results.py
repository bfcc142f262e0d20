"""Results and their JSON: the same fields, in the same order, there and back."""

import dataclasses
import json

import pytest
import torch

from trainables.results import OPTIONAL, REQUIRED, AttackResult, Interval, TrialResult, count_behind

WORST = AttackResult(
    kind="gmi",
    threat_model="white-box",
    metrics={"attack_accuracy_top1": 0.75, "queries": 12},
    interval=Interval(low=0.5, high=0.875),
    per_identity=[1.0, 0.5],
    restarts=2,
    seconds={"attack": 3.0, "judge": 0.5},
    history=[{"iteration": 1.0, "identity_loss": 2.5}],
    path="store/attack/a",
)
OTHER = AttackResult(
    kind="brep",
    threat_model="labels",
    metrics={"attack_accuracy_top1": 0.25},
    interval=Interval(low=0.125, high=0.375),
    per_identity=[0.5, 0.0],
    restarts=2,
    seconds={"attack": 1.0, "judge": 0.25},
    history=[],
    path="store/attack/b",
)
TRIAL = TrialResult(
    values={"test_accuracy": 0.9, "attack_accuracy": 0.75},
    interval={
        "attack_accuracy": Interval(low=0.5, high=0.875),
        "test_accuracy": Interval(low=0.8, high=0.95),
    },
    metrics={"judge_test_accuracy": 0.95, "attack_accuracy_top1": 0.75},
    attacks={"gmi": WORST, "brep": OTHER},
    strongest="gmi",
    people={"attacked": 2, "found": 2},
    data={"private": "p1", "public": "p2"},
    version="1.0",
    trained_params=10,
    total_params=30,
    parameters={"trained": 10, "total": 30},
    freeze_point="conv2",
    defense="none",
    seconds={"target": 2.0, "attack": 4.0, "judge": 0.75},
    history={"target": [{"epoch": 1.0}], "attack": WORST.history, "attack.brep": OTHER.history},
    artifacts={
        "target": "store/target/t",
        "attack": "store/attack/a",
        "judge": "store/judge/j",
        "attack.gmi": "store/attack/a",
        "attack.brep": "store/attack/b",
    },
    warnings=["weak judge"],
)
TRIAL_JSON = """
{"values": {"test_accuracy": 0.9, "attack_accuracy": 0.75},
 "interval": {"attack_accuracy": [0.5, 0.875], "test_accuracy": [0.8, 0.95]},
 "metrics": {"judge_test_accuracy": 0.95, "attack_accuracy_top1": 0.75},
 "attacks": {
  "gmi": {"kind": "gmi", "threat_model": "white-box", "interval": [0.5, 0.875],
          "metrics": {"attack_accuracy_top1": 0.75, "queries": 12}, "seconds": {"attack": 3.0, "judge": 0.5}},
  "brep": {"kind": "brep", "threat_model": "labels", "interval": [0.125, 0.375],
           "metrics": {"attack_accuracy_top1": 0.25}, "seconds": {"attack": 1.0, "judge": 0.25}}},
 "strongest": "gmi",
 "people": {"attacked": 2, "found": 2},
 "data": {"private": "p1", "public": "p2"},
 "version": "1.0",
 "trained_params": 10,
 "total_params": 30,
 "parameters": {"trained": 10, "total": 30},
 "freeze_point": "conv2",
 "defense": "none",
 "seconds": {"target": 2.0, "attack": 4.0, "judge": 0.75},
 "history": {"target": [{"epoch": 1.0}], "attack": [{"iteration": 1.0, "identity_loss": 2.5}],
             "attack.brep": []},
 "artifacts": {"target": "store/target/t", "attack": "store/attack/a", "judge": "store/judge/j",
               "attack.gmi": "store/attack/a", "attack.brep": "store/attack/b"},
 "warnings": ["weak judge"]}
"""
SCREENING = {"attack": "gmi", "share": 0.5, "interval": [0.25, 0.5], "reason": "trial 7 is better even so"}
BEATEN = TrialResult(
    values={"test_accuracy": 0.5, "attack_accuracy": 0.375},
    interval={},
    metrics={"judge_test_accuracy": 0.95},
    screening=SCREENING,
    trained_params=10,
    total_params=30,
    parameters={"trained": 10, "total": 30},
    freeze_point="conv2",
    defense="mid",
    seconds={"target": 2.0, "screening": 1.5},
    history={"target": [], "short attack": []},
    artifacts={"target": "store/target/t", "attack": "store/attack/s", "judge": "store/judge/j"},
    warnings=[],
)
BEATEN_JSON = """
{"values": {"test_accuracy": 0.5, "attack_accuracy": 0.375},
 "interval": {},
 "metrics": {"judge_test_accuracy": 0.95},
 "screening": {"attack": "gmi", "share": 0.5, "interval": [0.25, 0.5], "reason": "trial 7 is better even so"},
 "trained_params": 10,
 "total_params": 30,
 "parameters": {"trained": 10, "total": 30},
 "freeze_point": "conv2",
 "defense": "mid",
 "seconds": {"target": 2.0, "screening": 1.5},
 "history": {"target": [], "short attack": []},
 "artifacts": {"target": "store/target/t", "attack": "store/attack/s", "judge": "store/judge/j"},
 "warnings": []}
"""


@pytest.mark.parametrize(
    ("result", "text"), [(TRIAL, TRIAL_JSON), (BEATEN, BEATEN_JSON)], ids=["full", "beaten"]
)
def test_the_json_has_these_fields_in_this_order(result, text):
    """Text is compared, so the order of all keys counts, the nested ones too."""
    assert json.dumps(result.to_json()) == json.dumps(json.loads(text))


def test_a_screened_trial_says_so_last():
    screened = dataclasses.replace(TRIAL, screening={**SCREENING, "reason": ""}).to_json()
    assert list(screened) == [*TRIAL.to_json(), "screening"]
    assert screened["screening"] == {**SCREENING, "reason": ""}


def test_a_result_comes_back_from_json_without_what_json_leaves_out():
    attacks = {
        name: dataclasses.replace(attack, per_identity=(), restarts=0)
        for name, attack in TRIAL.attacks.items()
    }
    text = json.dumps(TRIAL.to_json())
    assert TrialResult.from_json(json.loads(text)) == dataclasses.replace(TRIAL, attacks=attacks)
    assert TrialResult.from_json(json.loads(json.dumps(BEATEN.to_json()))) == BEATEN
    assert json.dumps(TrialResult.from_json(json.loads(text)).to_json()) == text


def test_a_single_attack_comes_back_with_its_curve_and_folder():
    single = dataclasses.replace(
        TRIAL,
        attacks={"gmi": WORST},
        history={"target": [], "attack": WORST.history},
        artifacts={"target": "t", "attack": WORST.path, "judge": "j"},
    )
    attack = TrialResult.from_json(single.to_json()).attacks["gmi"]
    assert attack == dataclasses.replace(WORST, per_identity=(), restarts=0)


def test_what_a_sweep_adds_is_left_aside():
    document = {**TRIAL.to_json(), "params": {"lr": 0.1}, "replicate": 2}
    assert TrialResult.from_json(document).to_json() == TRIAL.to_json()


@pytest.mark.parametrize("name", REQUIRED)
def test_a_field_that_may_not_be_missing_is_named(name):
    document = TRIAL.to_json()
    del document[name]
    with pytest.raises(ValueError, match=f"got no {name}$"):
        TrialResult.from_json(document)


def test_only_the_fields_that_the_docstring_names_may_be_missing():
    optional = {
        field.name for field in dataclasses.fields(TrialResult) if field.default is not dataclasses.MISSING
    }
    assert (
        optional
        == set(OPTIONAL)
        == {"attacks", "strongest", "people", "data", "version", "machines", "screening"}
    )
    assert {field.name for field in dataclasses.fields(TrialResult)} == optional | set(REQUIRED)


@pytest.mark.parametrize("people", [1, 7, 60, 5000])
def test_the_people_behind_the_interval_of_nobody_are_counted_back(people):
    from trainables.metrics.attack_accuracy import interval95

    low, high = interval95(torch.zeros(people), restarts=2)
    assert count_behind([low, high]) == pytest.approx(people)
    assert count_behind(Interval(low=low, high=high)) == pytest.approx(people)


def test_no_people_stand_behind_other_intervals():
    assert [count_behind(ends) for ends in (None, [0.1, 0.2], [0.0, 0.0], [0.0, 1.0])] == [None] * 4
    assert count_behind([0.0, 0.99]) == 1  # nobody has fewer
