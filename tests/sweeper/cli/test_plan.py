"""What a dry run prints: the study that would run, how many trials, and their cost added up by hand."""

import pytest
import yaml

from sweeper.cli.plan import show_plan
from sweeper.engine.resources import Node
from sweeper.study.loading import parse_study

FACES = {"kind": "synthetic_faces", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "name": "tiny",
    "trial": {
        "image_size": 32,
        "private": {**FACES, "population": "private"},
        "public": {**FACES, "population": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi"},
        "attack": {"kind": "gmi"},
        "judge": {"kind": "classifier", "architecture": "small_cnn"},
    },
    "space": ["freeze_depth"],  # none, conv1 .. conv6
}
SECONDS = {"pretrained": 5.0, "judge": 10.0, "prior": 60.0, "target": 2.0, "attack": 3.0}


@pytest.fixture
def plan(home, monkeypatch, capsys):
    monkeypatch.setattr("trainables.cost.estimate", lambda config, device: SECONDS)
    monkeypatch.setattr("sweeper.cli.plan._device", lambda: "cpu")
    monkeypatch.setattr("sweeper.cli.plan._machine", lambda: Node(4, 2))

    def printed(**changes) -> str:
        show_plan(parse_study(DOCUMENT | changes, "test"), home)
        return capsys.readouterr().out

    return printed


def test_what_is_printed_is_the_study(plan):
    out = plan(search={"trials": 3, "seed": 4})
    assert parse_study(yaml.safe_load(out), "again") == parse_study(
        DOCUMENT | {"search": {"trials": 3, "seed": 4}}, "test"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "7 (space: 7 assignments; 3 anchors first)"),  # 16 are more than there are
        ({"search": {"trials": 2}}, "2 (space: 7 assignments; 2 anchors first)"),
        ({"search": {"anchors": False}}, "7 (space: 7 assignments; 0 anchors first)"),
        ({"search": {"sampler": "grid"}}, "7 (space: 7 assignments; 0 anchors first)"),
        (
            {"space": {"target.learning_rate": {"float": [0.001, 0.1]}}},
            "16 (space: endless; 1 anchors first)",
        ),
    ],
)
def test_trials_and_anchors(plan, changes, line):
    assert f"# trials: {line}\n" in plan(**changes)


def test_shared_stages_are_paid_once_and_the_rest_by_every_trial(plan, home):
    out = plan(search={"trials": 4})
    assert f"# home: {home.root}\n" in out
    assert "on cpu, undefended" in out
    assert "pretrained 5 s, judge 10 s, prior 1 min 00 s, target 2 s, attack 3 s" in out
    assert 5 + 10 + 60 + 4 * (2 + 3) == 95
    assert "in all about 1 min 35 s" in out
    assert list(home.root.iterdir()) == []


def test_every_trial_pays_for_its_seeds(plan):
    out = plan(search={"trials": 4, "replicates": 3})
    assert "# each trained and attacked under 3 seeds\n" in out
    assert "in all about 2 min 15 s" in out  # 75 s once, 4 x 3 x 5 s


def test_screening_is_announced(plan):
    out = plan(search={"trials": 4, "screening": True, "screening_share": 0.1})
    assert "# a short attack first (10% of the steps)" in out


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ({"concurrent": 2}, "on this machine, up to 2 at once, each on 2 cores and 1 GPU"),
        (
            {"concurrent": 1, "attack_shards": 2, "gpus_per_shard": 0.5, "cpus_per_shard": 1},
            "on this machine, up to 1 at once, each on 2 cores and 1 GPU, and 1 x 1 core and 0.5 GPU",
        ),
        (
            {"concurrent": 1, "attack_shards": "auto"},
            "each on 2 cores and 1 GPU, and 1 x 2 cores and 1 GPU for its attacks' other shards",
        ),
        ({"attack_shards": 9}, "does not fit on this machine: resources.attack_shards 9 makes a trial"),
    ],
)
def test_what_a_trial_would_get_of_this_machine(plan, resources, line):
    assert line in plan(resources=resources)


def test_what_is_known_of_the_trials_is_said(plan):
    frozen = "# WARNING: frozen without pre-training"
    assert frozen in plan()
    assert "an epoch of the judge" not in plan()  # one batch holds all 20 images
    judge = {**DOCUMENT["trial"]["judge"], "batch_size": 13}
    assert "# WARNING: an epoch of the judge shows 65%" in plan(trial={**DOCUMENT["trial"], "judge": judge})
    assert frozen not in plan(space={"target.learning_rate": {"choice": [0.01]}})
