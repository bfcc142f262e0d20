import dataclasses

import pytest
from simulated_runs import ACCURACIES, Simulation
from toy_study import TOY

from search_spaces.space import decode, grid
from sweeper.analyses.layer_roles import LayerRoles, _nearest
from sweeper.analyses.runs import EPOCH, POINT
from sweeper.study.loading import parse_study
from trainables.config import load_trial
from trainables.errors import ConfigError

STUDY = parse_study(TOY, "toy")
EPOCHS = tuple(ACCURACIES)
NAMES = {"none": "all", "conv2": "first_and_last", "conv4": "middle_and_last", "conv6": "last"}


def test_thirds_of_the_stages_are_trained_and_of_the_middle_as_many_weights_as_of_the_first():
    template = {**TOY["trial"], "target": {**TOY["trial"]["target"], "freeze_point": "conv3"}}
    derived = LayerRoles(epochs=(2, 4)).derive(parse_study({**TOY, "trial": template}, "toy"))
    assert derived.name == "toy_layer_roles" and derived.budget == 8
    trained = {
        raw["roles"]: load_trial(derived.document(decode(derived.domains, raw))).target
        for raw in grid(derived.domains)
    }
    assert {name: target.trained for name, target in trained.items()} == {
        "all": None,
        "first_and_last": ("conv1", "conv2", "conv5", "conv6"),
        "middle_and_last": ("conv3", "conv5", "conv6"),
        "last": ("conv5", "conv6"),
    }
    # 928 + 9,280 weights of conv1 and conv2; of what lies between 18,560 (conv3), 36,992 (conv4) or both
    assert {target.kept_epoch for target in trained.values()} == {4}  # the last of each
    assert derived.space[1] == {EPOCH: {"ordered": [2, 4]}}


@pytest.mark.parametrize(
    ("weights", "middle"),
    [
        ({"a": 9, "b": 9, "c": 90, "d": 8, "e": 11, "f": 1}, ["d", "e"]),
        ({"a": 90, "b": 10, "c": 30, "d": 40, "e": 35, "f": 1}, ["c", "d", "e"]),
        ({"a": 5, "b": 0, "c": 4, "d": 0, "e": 7, "f": 1}, ["c"]),
    ],
)
def test_the_middle_is_the_neighbours_nearest_in_weights(weights, middle):
    assert _nearest("ab", "cde", weights) == middle


def test_a_network_of_two_stages_has_no_thirds(monkeypatch):
    monkeypatch.setattr("trainables.architectures.freeze_points", lambda name: ("none", "a", "b"))
    with pytest.raises(ConfigError, match="three stages or more; small_cnn has 2"):
        LayerRoles().derive(STUDY)


def runs(seed, effect):
    """Return runs of the four ways; training the first stages shifts the probit by `effect`."""
    made = Simulation(seed).checkpoints(lambda depth: effect * (depth == 1 / 3), EPOCHS)
    return [
        dataclasses.replace(
            run,
            settings={"roles": NAMES[run.settings[POINT]], EPOCH: run.settings[EPOCH]},
            trained_params=100,
        )
        for run in made
    ]


def found(conclusion):
    return [
        text for text in conclusion.sentences if "than equally accurate ones trained in the middle" in text
    ]


def claims(conclusion):
    return [text for text in found(conclusion) if ": at test accuracy" in text]


def test_first_stages_that_leak_more_are_found():
    told = 0
    for seed in range(10):
        conclusion = LayerRoles().conclude(runs(seed, 1.2))
        rows = {row["roles"]: row for row in conclusion.rows}
        assert set(rows) == set(NAMES.values()) and rows["last"]["trained_parameters"] == 100
        assert rows["middle_and_last"]["p"] is None
        told += any(
            text.startswith("trained in the first and last stages, targets leak more")
            for text in claims(conclusion)
        )
    assert told >= 8


def test_where_all_leak_alike_nothing_is_claimed():
    told = sum(bool(claims(LayerRoles().conclude(runs(seed, 0.0)))) for seed in range(20))
    assert told <= 3  # a twentieth of studies, and luck


def test_where_every_target_leaks_alike_nothing_is_concluded():
    alike = [dataclasses.replace(run, rates=0 * run.rates) for run in runs(0, 0.0)]
    conclusion = LayerRoles().conclude(alike)
    assert "leakage that does not vary" in conclusion.sentences[-1] and not found(conclusion)
