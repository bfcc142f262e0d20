"""What does not fit is one sentence on the command line, before Ray is started and anything is trained."""

import pytest
import torch
import yaml
from click.testing import CliRunner
from picture_folders import write_people, write_pictures

from sweeper.cli.app import main
from trainables.config import load_trial
from trainables.stages.target import new_target

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
JUDGE = "{kind: classifier, architecture: small_cnn}"
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
    },
    "space": ["freeze_depth"],
    "tracking": {"mlflow": False},
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(STUDY))
    weights = new_target(load_trial(STUDY["trial"]), 4).state_dict()
    torch.save(weights, "good.pt")
    torch.save({**weights, "other": torch.zeros(1)}, "surplus.pt")
    torch.save({k: v for k, v in weights.items() if k != "stages.conv1.0.weight"}, "missing.pt")

    def refuse(address):
        raise AssertionError("Ray was started")

    monkeypatch.setattr("sweeper.engine.sweep.cluster", refuse)
    return tmp_path


def refused(place, *words):
    done = CliRunner().invoke(main, [*words, "--home", "home"])
    assert done.exit_code == 2, (done.output, done.exception)
    assert not list((place / "home" / "store").glob("*/*"))
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and done.stderr.splitlines()[-1] == errors[0]
    return errors[0]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trial.identities=5", "identities must be at most 4, as many as the private images show; got 5"),
        (
            "trial.judge=[]",
            "expected a judge or a list of judges, got an empty list (mine.yaml: trial: judge)",
        ),
        (f"trial.judge=[{JUDGE}, {JUDGE}]", "got the same at judge[0] and judge[1]"),
        (f"trial.judge=[{JUDGE}, {{kind: onnx, path: none.onnx}}]", "no such file (judge.path)"),
        (
            f"trial.judge=[{JUDGE}, {{kind: onnx, path: mine.yaml}}]",
            "expects an ONNX file that holds its weights",
        ),
        ("trial.judge={kind: embedder, path: good.pt}", "expects a plain state dict of mobilefacenet"),
        ("trial.judge.1.epochs=3", "unknown key '1'"),
        ("trial.image_size=48", "expects an image_size that is a power of two from 32; got 48"),
        ("trial.attack.kind=mirror", "attack 'mirror' expects a prior with a style space"),
        ("trial.attack={kind: vmi, layers: 7}", "got a latent of 100 numbers (attack.layers)"),
        ("trial.prior={kind: stylegan2, path: none.pkl}", "found no file at none.pkl"),
    ],
)
@pytest.mark.parametrize("words", [("run", "mine.yaml"), ("attack", "good.pt", "--study", "mine.yaml")])
def test_what_does_not_fit(place, words, override, said):
    assert said in refused(place, *words, "-S", override)


@pytest.mark.parametrize(
    ("file", "said"),
    [("missing.pt", "missing: stages.conv1.0.weight;"), ("surplus.pt", "surplus: other;")],
)
def test_missing_and_surplus_keys_of_a_checkpoint_are_named(place, file, said):
    assert said in refused(place, "attack", file, "--study", "mine.yaml")
    override = f"trial.pretraining={{kind: checkpoint, path: {file}}}"
    assert said in refused(place, "run", "mine.yaml", "-S", override)


FOLDERS = {  # what people put there, and what is said of it
    "a flat folder": (["1.png", "2.png"], "must show at least 2 people"),
    "parts": (["train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png"], "are parts, not people"),
    "parts without people": (["Training/1.png", "Testing/2.png"], "are parts, not people"),
    "a level too many": (["a/x/1.png", "b/x/2.png"], "saw a, b / x / 2 images"),
    "too few images": (["a/1.png", "b/2.png"], "every identity needs at least"),
}


@pytest.mark.parametrize(
    "words", [("run", "mine.yaml"), ("run", "mine.yaml", "--dry-run"), ("attack", "good.pt")]
)
@pytest.mark.parametrize("case", FOLDERS)
def test_folders_that_prove_nothing(place, case, words):
    files, said = FOLDERS[case]
    root = write_pictures(place / "people", *files)
    study = () if words[0] == "run" else ("--study", "mine.yaml")
    override = f"trial.private={{kind: image_folder, root: {root}}}"
    assert said in refused(place, *words, *study, "-S", override)


def test_pretraining_on_private_images(place):
    root, other = write_people(place / "people", "a", "b"), write_people(place / "other", "c", "d", first=3)
    overrides = (
        f"trial.private={{kind: image_folder, root: {root}}}",
        f"trial.pretraining={{kind: dataset, data: {{kind: image_folder, root: {other}}}}}",
    )
    words = [word for override in overrides for word in ("-S", override)]
    for command in (("run", "mine.yaml"), ("run", "mine.yaml", "--dry-run")):
        assert "got 9 shared of 12 private" in refused(place, *command, *words)


def test_what_to_know_of_the_data_is_said_before_ray_starts(place):
    root = write_people(place / "people", "a", "b", "c", "d")
    (root / "a" / "7.cr2").write_bytes(b"x")
    words = (
        "run",
        "mine.yaml",
        "--home",
        "home",
        "-S",
        f"trial.private={{kind: image_folder, root: {root}}}",
    )
    done = CliRunner().invoke(main, words)
    assert str(done.exception) == "Ray was started"
    assert "WARNING: private data: left out 1 file that cannot be read as images: 1 .cr2" in done.stderr


DATED = yaml.safe_dump({**STUDY, "name": "DATE"}).replace("DATE", "2024-02-30")


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("run", "--dry-run"),
        ("confirm",),
        ("front",),
        ("pick", "--min-accuracy", "0.5"),
        ("compare",),
    ],
)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: mine\nname: other", "expected every key once, got 'name' on line 1 and on line 2"),
        ("name: !!timestamp x", "expected YAML in"),
        ("name: mine\nsearch: {trials: 010}", "expected a plain decimal number, got 010 (line 2)"),
    ],
)
def test_yaml_that_means_something_else_than_it_says(place, words, text, said):
    (place / "bad.yaml").write_text(text)
    assert said in refused(place, words[0], "bad.yaml", *words[1:])


def test_a_date_that_no_calendar_has_is_a_name(place):
    (place / "dated.yaml").write_text(DATED)
    assert "2024-02-30" in refused(place, "front", "dated.yaml")  # a study of that name is not there


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trial.target.epochs=true", "epochs must be a number; got True"),
        ("trial.target.learning_rate=1_0", "expected a plain decimal number, got 1_0"),
        ("search.trials=true", "search.trials must be a number; got True"),
        ("resources.concurrent=yes", "resources.concurrent must be a number, or 'auto'; got True"),
        ("search={trials: 1, trials: 2}", "expected every key once, got 'trials'"),
    ],
)
def test_an_override_is_read_as_strictly(place, override, said):
    assert said in refused(place, "run", "mine.yaml", "-S", override)


def test_a_path_that_begins_with_the_home_is_found_and_named_in_full(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    folder = {"kind": "image_folder", "root": "~/none"}
    study = {**STUDY, "trial": {**STUDY["trial"], "private": folder}}
    (place / "homely.yaml").write_text(yaml.safe_dump(study))
    for words in (("run", "~/homely.yaml"), ("run", "~/homely.yaml", "--dry-run")):
        assert f"{place}/none" in refused(place, *words)
    assert f"{place}/other.pt" in refused(place, "attack", "~/other.pt", "--study", "~/mine.yaml")
    (place / "child.yaml").write_text("extends: ~/homely.yaml\nname: child\n")
    assert f"{place}/none" in refused(place, "run", "child.yaml", "--dry-run")


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"identities": {"choice": [2, 9]}}, "identities must be at most 4, as many as the private images"),
        ({"identities": {"int": [2, 9]}}, "got 9 (identities); ask for fewer"),
        ({"people": {"cases": {"few": {"identities": 2}, "many": {"identities": 9}}}}, "got 9 (identities)"),
        ({"attacked": {"choice": [[0, 1], [2, 7]]}}, "attacked must be labels from 0 to 3, as many as"),
    ],
)
def test_people_of_a_space_beyond_the_data(place, space, said):
    (place / "mine.yaml").write_text(yaml.safe_dump({**STUDY, "space": [space]}))
    for words in (("run", "mine.yaml", "--dry-run"), ("run", "mine.yaml")):
        error = refused(place, *words)
        assert said in error and ", in the trial with " in error


def test_a_published_query_is_looked_at_before_anything_is_printed(place):
    (place / "mine.yaml").write_text(yaml.safe_dump({**STUDY, "published": ["attack=GMI", "a"]}))
    for words in (("run", "mine.yaml", "--dry-run"), ("run", "mine.yaml")):
        assert "got 'a' (mine.yaml: published[1]; columns: attack" in refused(place, *words)
    done = CliRunner().invoke(main, ["run", "mine.yaml", "--dry-run", "--home", "home"])
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [("run", "mine.yaml"), ("run", "mine.yaml", "--dry-run"), ("front", "mine"), ("ui",), ("log", "mine")],
)
def test_a_home_that_is_no_folder(place, words):
    (place / "home").write_text("")
    done = CliRunner().invoke(main, [*words, "--home", "home/below"])
    assert done.exit_code == 2 and done.stdout == ""
    assert f"error: expected a folder for the home, got {place}/home" in done.stderr


def test_a_dry_run_in_a_home_that_cannot_be_made(place):
    done = CliRunner().invoke(main, ["run", "mine.yaml", "--dry-run", "--home", "/proc/no-such-home"])
    assert done.exit_code == 2 and done.stdout == ""
    assert "error: expected a home that can be written, got /proc/no-such-home" in done.stderr
