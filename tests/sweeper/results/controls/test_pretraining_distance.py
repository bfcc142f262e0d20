"""What is said of a near and of a far pre-training, and where nobody can say."""

import json

import pytest
from records import as_study

from sweeper.results.controls.pretraining_distance import (
    NEAR,
    distance_of,
    distance_risk,
    distance_sentence,
    distances,
)
from sweeper.results.model_card import card
from sweeper.results.trial_record import Replicate


def trial(number, probe=None, freeze_point="conv2", validation=0.5, params=None, **changes):
    figures = {"validation_accuracy": validation}
    interval = {}
    if probe is not None:
        figures |= {"probe_accuracy": probe, "probe_test_accuracy": probe - 0.02, "probe_chance": 0.1}
        interval = {"probe_accuracy": [probe - 0.05, probe + 0.04]}
    return {
        "number": number,
        "freeze_point": freeze_point,
        "defense": "none",
        "params": params or {},
        "metrics": figures,
        "interval": interval,
        **changes,
    }


def study(*trials, **changes):
    definition = {"trial": {"pretraining": {"kind": "dataset", "data": {"population": "far"}}}}
    return as_study({"trials": trials, "definition": definition, **changes})


def test_one_pre_training_is_one_row_of_all_trials_and_goes_by_the_best_undefended_target():
    records = study(
        trial(0, 0.4, freeze_point="none", validation=0.8),
        trial(1, 0.4),
        trial(2, 0.4, freeze_point="none", validation=0.9),
        trial(3, 0.4, freeze_point="none", validation=0.95, defense="mid"),
        trial(4),
    )
    (row,) = distances(records)
    assert row.to_json() == {
        "pretraining": "dataset",
        "accuracy": 0.4,
        "interval": pytest.approx([0.35, 0.44]),
        "test_accuracy": 0.38,
        "chance": 0.1,
        "undefended": 0.9,
        "trials": [0, 1, 2, 3],
        "near": False,
    }
    assert distance_of(records, records.trials[1]) == row
    assert distance_of(records, records.trials[4]) is None
    (row,) = distances(study(trial(1, 0.4), controls={"undefended": {"validation_accuracy": 0.7}}))
    assert row.undefended == 0.7


@pytest.mark.parametrize(
    ("undefended", "probe", "near"),
    [
        (0.9, 0.1 + NEAR * 0.8 + 0.06, True),
        (0.9, 0.1 + NEAR * 0.8 - 0.05, False),
        (0.9, 0.1 + NEAR * 0.8 + 0.01, None),  # the interval holds the limit
        (0.9, 0.1 + NEAR * 0.8 - 0.01, None),
        (0.3, 0.4, True),  # better than the target itself
        (0.1, 0.4, None),  # an undefended target that guesses is no measure
        (None, 0.4, None),
    ],
)
def test_near_is_three_quarters_of_what_the_undefended_target_is_above_guessing(undefended, probe, near):
    controls = None if undefended is None else {"undefended": {"validation_accuracy": undefended}}
    (row,) = distances(study(trial(1, probe), controls=controls))
    assert row.near is near
    sentence, risk = distance_sentence(row), distance_risk(row)
    shown = f"{100 * probe:.1f} % [{100 * probe - 5:.1f} %, {100 * probe + 4:.1f} %]"
    assert f"pre-training 'dataset': a linear classifier on its frozen features names {shown}" in sentence
    assert f"of test images {100 * probe - 2:.1f} %, guessing names 10.0 %" in sentence
    assert ("; that is near" in sentence, "; that is far" in sentence) == (near is True, near is False)
    untold = near is None and undefended == 0.9
    assert ("whether that is near is not told: the interval holds 70.0 %" in sentence) == untold
    rather = untold and probe > 0.7
    assert bool(risk) == (near is True or rather)
    started = "near pre-training, if this is one, is" if rather else "near pre-training is"
    assert not risk or risk.startswith(f"{started} a risk of its own")
    if undefended is not None:
        assert f"the undefended target {100 * undefended:.1f} %" in sentence


def test_where_the_space_varies_pre_training_or_network_each_has_its_figure():
    knob = "pretraining.data.population"
    records = study(
        trial(0, 0.8, params={knob: "near", "target.freeze_point": "conv2"}),
        trial(1, 0.3, params={knob: "far"}),
        trial(2, 0.8, params={knob: "near", "target.freeze_point": "conv4"}),
        trial(3, 0.8, params={"pretraining.kind": "torchvision", "target.architecture": "resnet18"}),
        controls={"undefended": {"validation_accuracy": 0.9}},
    )
    rows = distances(records)
    assert [(row.pretraining, row.trials, row.near) for row in rows] == [
        ("dataset, data.population near", (0, 2), True),
        ("dataset, data.population far", (1,), False),
        ("torchvision, target.architecture resnet18", (3,), True),
    ]
    json.dumps([row.to_json() for row in rows], allow_nan=False)


def test_where_it_was_not_measured_nothing_is_said():
    assert distances(study(trial(0), trial(1, state="failed", metrics={}))) == []
    assert distance_risk(None) == ""


@pytest.mark.parametrize(("probe", "risk"), [(0.85, True), (0.2, False), (None, False)])
def test_the_card_says_how_far_and_names_the_risk(probe, risk):
    records = study(trial(0, probe, freeze_point="none", validation=0.9), trial(1, probe))
    config = {
        "target": {"architecture": "small_cnn"},
        "image_size": 32,
        "attack": [{"attack": {"kind": "gmi"}}],
        "defense": {"kind": "none"},
        "pretraining": {"kind": "dataset"},
    }
    text = card(records, records.trials[1], Replicate(replicate=0), config, 10, "release")
    assert ("- Pre-training 'dataset': a linear classifier on its frozen features" in text) == (
        probe is not None
    )
    assert ("- **near pre-training is a risk of its own" in text) == risk
