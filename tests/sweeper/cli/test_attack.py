"""`sweeper attack`: a target from a file against attacks by name."""

import json

import pytest
import torch
import yaml
from click.testing import CliRunner
from picture_folders import write_people

from sweeper.cli.app import main
from sweeper.cli.attack import order_warnings
from sweeper.results import formatting
from trainables.config import load_trial
from trainables.stages.class_map import reorder
from trainables.stages.data import load_data
from trainables.stages.target import new_target

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
STUDY = {
    "name": "mine",
    "trial": {
        "image_size": 32,
        "private": FACES,
        "public": {**FACES, "population": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
        "attack": {"kind": "gmi", "iterations": 2, "restarts": 1},
        "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
        "identities": 3,
    },
    "space": ["freeze_depth"],
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(STUDY))
    target = new_target(load_trial(STUDY["trial"]), 4)
    torch.save(target.state_dict(), tmp_path / "model.pt")
    return tmp_path


def call(*words):
    return CliRunner().invoke(main, ["attack", *words])


def test_each_attack_gives_its_figures(place):
    words = ["model.pt", "--study", "mine.yaml", "--home", "home"]
    done = call(*words, "--attack", "gmi:cpu", "-f", "json", "-S", "trial.identities=2")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert list(found["attacks"]) == ["gmi"] and found["strongest"] == "gmi"
    kept = torch.load(f"{found['artifacts']['attack']}/reconstructions.pt", weights_only=True)
    assert kept["identities"].tolist() == [0, 1]
    assert found["values"]["attack_accuracy"] == found["attacks"]["gmi"]["metrics"]["attack_accuracy_top1"]

    shown = call(*words)
    assert shown.exit_code == 0, shown.output
    assert (
        "white-box" in shown.stdout
        and "test accuracy" in shown.stdout
        and "highest attack accuracy: gmi" in shown.stdout
    )


def test_several_judges_and_the_verified_accuracy_are_shown(place):
    both = [STUDY["trial"]["judge"], {**STUDY["trial"]["judge"], "seed": 1}]
    words = ["model.pt", "--study", "mine.yaml", "--home", "home", "-S", f"trial.judge={json.dumps(both)}"]
    shown = call(*words)
    assert shown.exit_code == 0, shown.output
    result = json.loads(call(*words, "-f", "json").stdout)
    ends, name = result["attacks"]["gmi"]["verified"], "attack_accuracy_verified"
    figure = result["attacks"]["gmi"]["metrics"][name]
    reached = formatting.decimals(name, figure, ends, result["people"]["attacked"])
    assert "verified" in shown.stdout and reached in shown.stdout
    agreement = result["metrics"]["judge_2.agreement"]
    assert f"names whom the first names in {100 * agreement:.1f} %" in " ".join(shown.stdout.split())
    assert result["interval"]["attack_accuracy_verified"] == ends


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.pt"], "no file"),
        (["model.pt", "--attack", "gm"], "did you mean 'gmi'"),
        (["model.pt", "--attack", "gmi:fast"], "preset must be one of"),
        (["model.pt", "-S", "trial.target.architecture=resnet18"], "resnet18"),
        (["model.pt", "-S", "trial.private.identities=5"], "instead of (5, "),
        (["model.pt", "-S", "trial.judge=[]"], "an empty list"),
        (["model.pt", "-S", "trial.judge={kind: onnx, path: none.onnx}"], "no such file (judge.path)"),
        (["model.pt", "-S", "trial.judge={kind: embedder, path: none.pt}"], "no such file (judge.path)"),
    ],
)
def test_mistakes_are_named_before_any_work(place, words, said):
    done = call(*words, "--study", "mine.yaml", "--home", "home")
    assert done.exit_code == 2 and said in done.stderr, done.stderr
    assert not (place / "home" / "store" / "attack").exists()


def test_the_time_is_told_as_a_range_and_warnings_before_the_attacks_and_beside_their_figures(place):
    """One epoch makes a judge that says nothing of four people; what is stored is not estimated again."""
    words = ["model.pt", "--study", "mine.yaml", "--home", "home"]
    done = call(*words)
    lines = done.stderr.splitlines()
    (estimated,) = [line for line in lines if line.startswith("estimated on")]
    assert "judge " in estimated and "prior " in estimated and "attack " in estimated
    told = [number for number, line in enumerate(lines) if "judge: its test accuracy" in line]
    attacked = next(number for number, line in enumerate(lines) if line.startswith("target: attack"))
    assert told[0] < attacked < told[-1]
    again = call(*words).stderr
    (estimated,) = [line for line in again.splitlines() if line.startswith("estimated on")]
    assert "judge " not in estimated and "prior " not in estimated


def test_what_to_know_of_the_data_is_said(place):
    root = write_people(place / "people", "a", "b", "c", "d")
    (root / "a" / "7.cr2").write_bytes(b"x")
    words = ["model.pt", "--study", "mine.yaml", "--home", "home", "-f", "json"]
    done = call(*words, "-S", f"trial.private={{kind: image_folder, root: {root}}}")
    assert done.exit_code == 0, done.output
    said = "private data: left out 1 file that cannot be read as images: 1 .cr2"
    assert f"WARNING: {said}" in done.stderr
    assert any(said in text for text in json.loads(done.stdout)["warnings"])


def attacked(place, *words):
    """Return the knobs of the attacks that a dry run prints."""
    done = call("model.pt", "--study", "mine.yaml", "--home", "home", "--dry-run", *words)
    assert done.exit_code == 0, (done.output, done.exception)
    assert not (place / "home").exists() and "fits: test accuracy" in done.stdout
    assert "# estimated here, with nothing stored: judge " in done.stdout
    return yaml.safe_load(done.stdout)["attack"]


def test_the_studys_knobs_are_the_default_and_a_preset_overrides_them(place):
    assert attacked(place)["iterations"] == 2
    assert attacked(place, "--attack", "gmi")["iterations"] == 2
    assert attacked(place, "--attack", "gmi:cpu")["iterations"] == 300
    first, second = attacked(place, "--attack", "gmi", "--attack", "gmi:paper")
    assert (first["iterations"], second["iterations"]) == (2, 2400)
    several = "trial.attack=[{kind: gmi, iterations: 3}, {kind: gmi, iterations: 4}]"
    assert attacked(place, "-S", several, "--attack", "gmi_2")["iterations"] == 4
    assert attacked(place, "-S", several, "--attack", "vmi")["kind"] == "vmi"  # not the study's: its defaults


@pytest.fixture
def ordered(place):
    """A target that knows four people, and the same in the order of a map."""
    config = load_trial(STUDY["trial"])
    names = load_data(config).split.train.names
    order = [2, 0, 3, 1]
    target = new_target(config, 4)
    reorder(target, order)
    torch.save(target.state_dict(), place / "moved.pt")
    (place / "map.json").write_text(json.dumps([names[k] for k in order]))
    return names


def test_a_map_brings_the_classes_into_order(place, ordered):
    words = ["--study", "mine.yaml", "--home", "home", "-f", "json"]
    plain, moved = call("model.pt", *words), call("moved.pt", *words, "--labels", "map.json")
    assert plain.exit_code == moved.exit_code == 0, moved.output
    first, second = json.loads(plain.stdout), json.loads(moved.stdout)
    assert first["values"] == second["values"] and first["artifacts"] == second["artifacts"]
    wrong = call("moved.pt", *words)
    assert json.loads(wrong.stdout)["artifacts"]["target"] != first["artifacts"]["target"]
    (place / "out").mkdir()
    (place / "moved.pt").rename(place / "out" / "target.pt")
    (place / "map.json").rename(place / "out" / "labels.json")
    assert json.loads(call("out", *words).stdout)["artifacts"] == first["artifacts"]


def test_maps_of_others_are_refused(place, ordered):
    (place / "other.txt").write_text("a\nb\nc\nd\n")
    done = call("model.pt", "--study", "mine.yaml", "--home", "home", "--labels", "other.txt")
    assert done.exit_code == 2 and "no class of" in done.stderr and "--labels" in done.stderr


def test_a_given_target_near_chance_is_warned_of(place, ordered):
    done = call("model.pt", "--study", "mine.yaml", "--home", "home", "-f", "json")
    said = json.loads(done.stdout)["warnings"][0]
    assert "sorted names" in said and "--labels" in said and f"WARNING: {said}" in done.stderr
    config = load_trial(STUDY["trial"])
    assert order_warnings(config, 0.9, None) == []
    assert "this target's" in order_warnings(config, 0.1, ordered)[0]
