"""`sweeper prepare DATASET`: counts, hashes, a map of labels, and what to obtain where it is missing."""

import hashlib
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from published_trees import TREES

from sweeper.cli.app import main
from trainables.config import load_method
from trainables.datasets import DATASETS
from trainables.datasets.base import Dataset
from trainables.datasets.published import Published
from trainables.storage.strict_yaml import parse_yaml


def prepare(kind: str, root: Path, *options: str) -> Result:
    home = str(root.parent / "home")
    return CliRunner().invoke(main, ["prepare", kind, "--root", str(root), "--home", home, *options])


def test_help_names_each_published_data_set() -> None:
    text = CliRunner().invoke(main, ["prepare", "--help"]).output
    assert "stylegan2" in text
    for kind, data in DATASETS.items():
        assert (f"\n  {kind} " in text) == issubclass(data, Published)
    assert set(TREES) == {kind for kind, data in DATASETS.items() if issubclass(data, Published)}


@pytest.mark.parametrize("kind", TREES)
def test_a_part_of_each_is_noted(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.datasets.celeba.PEOPLE", 3)
    root = TREES[kind](tmp_path / "data")
    done = prepare(kind, root, "--partial", "-f", "json")
    assert done.exit_code == 0, done.output
    note = json.loads(done.stdout)
    images = DATASETS[kind](root=str(root)).load(32)  # type: ignore[call-arg]
    assert note["labels"] == list(images.names)
    assert note["counts"]["classes"] == images.classes and note["counts"]["images"] == len(images)
    if images.reserved is not None:
        assert note["counts"]["test"] == images.reserved.sum()
    file = Path(note.pop("file"))
    assert file.parent == tmp_path / "home" / "datasets" and json.loads(file.read_text()) == note
    for path, digest in note["annotations"].items():
        if len(note["annotations"]) > 1:
            assert hashlib.sha256((Path(note["root"]) / path).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("kind", TREES)
def test_the_lines_for_a_study_are_ones(kind: str, tmp_path: Path) -> None:
    root = TREES[kind](tmp_path / "data")
    done = prepare(kind, root, "--partial")
    assert done.exit_code == 0, done.output
    lines = yaml.safe_load(done.stdout.split("In a study:\n")[1])
    assert load_method(Dataset, lines["private"], "test") == DATASETS[kind](root=str(root))  # type: ignore[call-arg]
    assert set(lines) == {"image_size", "private", "target"}


@pytest.mark.parametrize("folder", ["my, set: x", "a 'b' {c}", "d #e", "é" * 40, "f\ng", "010"])
def test_the_lines_for_a_study_are_ones_wherever_it_lies(folder: str, tmp_path: Path) -> None:
    root = TREES["ffhq"](tmp_path / folder)
    done = prepare("ffhq", root, "--partial")
    assert done.exit_code == 0, done.output
    text = done.stdout.split("In a study:\n")[1]
    assert (
        parse_yaml(text, "test")["private"] == {"kind": "ffhq", "root": str(root)} and text.count("\n") == 3
    )


@pytest.mark.parametrize(
    ("kind", "knobs"),
    [
        ("lfw", {"allow_duplicates": True, "limit": 1}),
        ("lfw", {"least_images": 2}),
        ("ffhq", {"protocol": "ppa", "limit": 1}),
        ("facescrub", {"protocol": "gmi"}),
    ],
)
def test_the_lines_for_a_study_have_every_knob_that_is_not_at_its_default(
    kind: str, knobs: dict[str, object], tmp_path: Path
) -> None:
    root = TREES[kind](tmp_path / "data")
    given = [f"-S{name}={json.dumps(value)}" for name, value in knobs.items()]
    done = prepare(kind, root, "--partial", *given)
    assert done.exit_code == 0, done.output
    private = parse_yaml(done.stdout.split("In a study:\n")[1], "test")["private"]
    assert {name: value for name, value in private.items() if name != "root"} == {"kind": kind, **knobs}
    usual = [
        f"-S{field.name}={json.dumps(field.default)}"
        for field in fields(DATASETS[kind])
        if field.name in knobs
    ]
    plain = prepare(kind, root, "--partial", *usual)
    assert set(parse_yaml(plain.stdout.split("In a study:\n")[1], "test")["private"]) == {"kind", "root"}


def test_a_second_time_says_the_same(tmp_path: Path) -> None:
    root = TREES["pubfig83"](tmp_path / "data")
    first, again = prepare("pubfig83", root), prepare("pubfig83", root)
    assert first.output == again.output and "classes: 3 (published: 83)" in first.output
    (root / "pubfig83" / "Bob Low" / "0001.jpg").unlink()
    assert prepare("pubfig83", root).output != first.output
    assert len(list((tmp_path / "home" / "datasets").iterdir())) == 2


def test_knobs_choose_the_protocol(tmp_path: Path) -> None:
    root = TREES["ffhq"](tmp_path / "data")
    done = prepare("ffhq", root, "-S", "protocol=ppa", "--partial")
    assert "images: 2 (published: 70,000)" in done.output and "the middle 800 of 1024 pixels" in done.output
    assert "image_size: 224" in done.output and "normalization: half" in done.output


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            "mnist",
            (),
            "expects 30,596 training, 5,139 test, as published, .*got 10 training, 10 test.*--partial",
        ),
        ("celeba", (), "expects 1,000 classes, as published"),
        ("lfw", ("-S", "protocl=ppa"), r"unknown key 'protocl' \(prepare lfw: protocl\)"),
        ("ffhq", ("-S", "protocol=vmi"), "protocol must be 'gmi' or 'ppa'"),
        ("ffhq", ("-S", "protocol"), "expected knob=value, got 'protocol'"),
        ("celeba", ("-S", "lists=nowhere"), "the list nowhere.trainset.txt .*no such file"),
    ],
)
def test_a_mistake_is_one_error(kind: str, options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = prepare(kind, TREES[kind](tmp_path / "data"), *options)
    assert done.exit_code == 2 and done.stderr.count("error:") == 1
    assert re.search(message, done.stderr), done.stderr
    assert not (tmp_path / "home" / "datasets").exists()


@pytest.mark.parametrize("kind", TREES)
def test_what_to_obtain_is_said_where_nothing_is(kind: str, tmp_path: Path) -> None:
    done = prepare(kind, tmp_path / "nothing")
    data = DATASETS[kind]
    assert issubclass(data, Published)
    assert done.exit_code == 2 and data.obtain in done.stderr and data.layout in done.stderr
    assert str(tmp_path / "nothing") in done.stderr and "Traceback" not in done.stderr


def test_a_picture_that_is_none_is_named(tmp_path: Path) -> None:
    root = TREES["lfw"](tmp_path / "data")
    (root / "lfw_funneled" / "Ann_High" / "0000.jpg").write_bytes(b"text")
    done = prepare("lfw", root, "--partial")
    assert done.exit_code == 2 and "lfw_funneled/Ann_High/0000.jpg" in done.stderr
