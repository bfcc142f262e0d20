"""Whole studies, small but real, up to `pick`: one whose attack finds nobody, one over a planted leak.

Trials and controls run here instead of in Ray's workers; all else is as in a sweep.
"""

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from planted import PEOPLE, Album, Nearest, planted_trial

from sweeper.cli.app import main
from sweeper.engine.controls import controls_beside, measure_after
from sweeper.engine.progress import Silent, Warner
from sweeper.search.optuna_study import OptunaStudy
from sweeper.study.checks import check_study, control_options
from sweeper.study.loading import parse_study
from trainables.config import load_trial
from trainables.judges import JUDGES
from trainables.priors import PRIORS
from trainables.runtime.progress import silent
from trainables.tune import run_document

FACES = {"kind": "synthetic_faces", "images_per_identity": 8}
SMALL = {
    "image_size": 32,
    "private": {**FACES, "population": "private", "identities": 8},
    "public": {**FACES, "population": "public", "identities": 8},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 3},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 4, "epochs": 1},
    "attack": {"kind": "gmi", "iterations": 8, "restarts": 1, "learning_rate": 1.0e-6},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 6},
}


@pytest.fixture
def run(home, monkeypatch):
    """Run a study to its end; return what commands print of it, with their exit codes."""

    class Here:
        """Measures in this process, at the first look."""

        def __init__(self, study, request, store_root, display, *, threads, gpus, make, name):
            self.make, self.asked = make, (study.document({}), request)
            self.settings = {"store_root": store_root, "device": "cpu", "report": silent}

        def look(self, seconds=0.0):
            return self.make(*self.asked, **self.settings)

        def end(self):
            pass

    monkeypatch.setattr("sweeper.engine.controls.ControlsWorker", Here)

    def ended(**document):
        study = parse_study({"tracking": {"mlflow": False}, **document}, "test")
        check_study(study)
        opened = OptunaStudy(study, home.storage, home.study(study.name) / "history")
        allotment = SimpleNamespace(threads=1, gpus=0, node_gpus=0, concurrent=1)
        step = (allotment, Silent(), opened, Warner(Silent()))
        with controls_beside(study, home, control_options(study), *step):
            while request := opened.ask():
                result = run_document(
                    request.document, store_root=str(home.store.root), device="cpu", report=silent
                )
                assert opened.tell(request.number, {**result, "params": request.assignment}) == ""
        measure_after(study, home, *step)

        def command(*arguments):
            return CliRunner().invoke(main, [*arguments], env={"SWEEPER_HOME": str(home.root)})

        return command

    return ended


def test_a_study_whose_attack_is_crippled_cannot_tell(run):
    command = run(
        name="crippled",
        trial=SMALL,
        space=[{"target.freeze_point": {"choice": ["none", "conv3"]}}],
        search={"trials": 2},
        controls={"null_pictures": 400, "ceiling": False, "sampler": False},
    )
    front = json.loads(command("front", "crippled", "-f", "json").stdout)
    assert front["verdict"] == "cannot tell" and "not clear of the floor" in front["reason"]
    assert front["still_rising"] is False and [point["share"] for point in front["budget"]] == [
        0.125,
        0.25,
        0.5,
        1.0,
    ]
    helpful = {remedy["name"] for remedy in front["remedies"]}
    assert helpful and "iterations" not in helpful  # more of these steps would find nobody either
    refused = command("pick", "crippled", "--min-accuracy", "0")
    assert refused.exit_code == 1
    assert "cannot tell" in refused.stderr and "what would help" in refused.stderr
    assert command("pick", "crippled", "--min-accuracy", "0", "--anyway").exit_code == 0
    assert "cannot tell" in command("front", "crippled").stdout


LEAKY = {
    "image_size": 32,
    "private": {**FACES, "population": "private", "identities": PEOPLE},
    "public": {**FACES, "population": "public", "identities": 4, "images_per_identity": 4},
    "pretraining": {"kind": "none"},
    "target": {
        "architecture": "small_cnn",
        "epochs": 14,
        "batch_size": 8,
        "optimizer": "adam",
        "learning_rate": 3.0e-3,
        "augmentation": "none",
    },
    "defense": {"kind": "none"},
    "prior": {"kind": "album"},
    "attack": {
        "kind": "gmi",
        "iterations": 40,
        "restarts": 2,
        "learning_rate": 0.2,
        "identity_weight": 100.0,
        "group": PEOPLE,
    },
    "judge": {"kind": "nearest"},
}


def test_a_study_over_a_planted_leak_finds_it(run, monkeypatch):
    """Targets learn eight people whose pictures the prior can show."""
    monkeypatch.setitem(PRIORS, "album", Album)
    monkeypatch.setitem(JUDGES, "nearest", Nearest)
    assert load_trial(LEAKY) == planted_trial()
    command = run(
        name="leaky",
        trial=LEAKY,
        space=[{"target.freeze_point": {"choice": ["none", "conv5"]}}],
        search={"trials": 2},
        controls={"null_pictures": 400, "ceiling": False, "sampler": False, "stopped": 1},
    )
    front = json.loads(command("front", "leaky", "-f", "json").stdout)
    assert front["verdict"] == "tells" and front["remedies"] == []
    undefended, frozen = sorted(front["trials"], key=lambda trial: trial["freeze_point"] != "none")
    assert undefended["people"]["found"] > PEOPLE / 2 and undefended["stopped"] is None
    if frozen["on_front"]:
        assert frozen["stopped"]["epoch"] >= 1 and frozen["stopped"]["verdict"]
    assert command("pick", "leaky", "--min-accuracy", "0").exit_code == 0
    assert "This study tells" in command("front", "leaky").stdout
