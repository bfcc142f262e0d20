"""`sweeper analyze`: on a real, tiny study of two trials, and on a target from a file."""

import json
import shutil

import pytest
import torch
import yaml
from click.testing import CliRunner

from sweeper.cli.app import main
from sweeper.results.records import study_records
from sweeper.search.analysis_notes import AnalysisNote, keep
from sweeper.search.optuna_study import OptunaStudy
from sweeper.storage.home import Home
from sweeper.study.loading import parse_study
from trainables.analyses import ANALYSES
from trainables.analyses.base import Subject
from trainables.config import load_trial
from trainables.stages.data import load_data
from trainables.stages.target import load_target
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "images_per_identity": 6}
DOCUMENT = {
    "name": "tiny",
    "trial": {
        "image_size": 32,
        "private": {**FACES, "population": "private", "identities": 3},
        "public": {**FACES, "population": "public", "identities": 3},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi", "width": 4, "epochs": 1},
        "attack": [
            {"kind": "gmi", "iterations": 2, "restarts": 1},
            {"kind": "gmi", "iterations": 1, "restarts": 2},
        ],
        "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
        "identities": 2,
    },
    "space": [{"target.freeze_point": {"ordered": ["none", "conv2"]}}],
    "search": {"trials": 2, "anchors": False, "sampler": "grid"},
    "tracking": {"mlflow": False},
}
NAME = "evaluator_confidence"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a home with two finished trials, and their results by number."""
    home = Home(tmp_path_factory.mktemp("analyzed") / "home")
    home.prepare()
    book = OptunaStudy(parse_study(DOCUMENT, "test"), home.storage, home.study("tiny") / "history")
    home.study("tiny").mkdir(parents=True, exist_ok=True)
    (home.study("tiny") / "study.yaml").write_text(yaml.safe_dump(DOCUMENT))
    results = {}
    for _ in range(2):
        asked = book.ask()
        config = load_trial(asked.document)
        results[asked.number] = config, run_trial(config, store=home.store).to_json()
        book.tell(asked.number, results[asked.number][1] | {"params": asked.assignment})
    return home, results


@pytest.fixture
def analyze(ran):
    def call(*words):
        return CliRunner().invoke(main, ["analyze", *map(str, words), "--home", str(ran[0].root)])

    return call


def stages(home):
    return {path for path in home.store.root.glob("*/*/") if path.parent.name != "analysis"}


def test_every_attack_of_a_trial_has_the_figures_of_its_reconstructions(ran, analyze):
    home, results = ran
    before = stages(home)
    for number in results:
        analyze(NAME, "tiny", "--trial", number)  # one alone is measured in this process
    done = analyze(NAME, "tiny", "--trial", 1, "--trial", 0, "-f", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["analysis"] == NAME
    assert [(row["trial"], row["attack"]) for row in found["rows"]] == [
        *((1, "gmi"), (1, "gmi_2"), (0, "gmi"), (0, "gmi_2"))
    ]
    assert stages(home) == before  # nothing is trained or attacked again
    for row in found["rows"]:
        config, result = results[row["trial"]]
        folders = result["artifacts"]
        data = load_data(config)

        def stage(what, folders=folders):
            return home.store.find(what.split(".")[0], folders[what].split("/")[-1])

        saved = torch.load(stage(f"attack.{row['attack']}").path / "reconstructions.pt", weights_only=True)
        fitted = torch.load(stage("judge").path / "judge.pt", weights_only=True)
        subject = Subject(
            target=load_target(config, data, stage("target")),
            judge=config.judge.restore(fitted, data.split, "cpu"),
            private=data.split,
            reconstructions=saved["images"],
            identities=saved["identities"],
            seed=config.seed,
        )
        truth = ANALYSES[NAME]().measure(subject)
        for key, value in truth.items():
            assert row[key] == pytest.approx(value), key


def test_the_front_is_the_default_and_a_second_call_reads(ran, analyze, monkeypatch):
    front = [trial.number for trial in study_records(ran[0], "tiny").members]
    for number in front:
        analyze(NAME, "tiny", "--trial", number)
    first = analyze(NAME, "tiny", "-f", "json")
    assert {row["trial"] for row in json.loads(first.stdout)["rows"]} == set(front)
    monkeypatch.setattr(ANALYSES[NAME], "measure", None)
    assert analyze(NAME, "tiny", "-f", "json").stdout == first.stdout
    shown = analyze(NAME, "tiny")
    assert shown.exit_code == 0 and "gmi_2" in shown.stdout and "unrecognised" in shown.stdout
    assert "analyzed before" in shown.stderr


def test_a_lost_attack_is_made_again_and_a_lost_target_is_named(ran, analyze):
    home, results = ran
    first = analyze(NAME, "tiny", "--trial", 0, "-f", "json").stdout
    folder = home.store.root / "attack" / results[0][1]["artifacts"]["attack.gmi"].split("/")[-1]
    shutil.rmtree(folder)
    assert analyze(NAME, "tiny", "--trial", 0, "-f", "json").stdout == first
    assert not folder.exists()  # the figures are kept with the study
    keep(home.storage, "tiny", NAME, 0, AnalysisNote("measured on something else", []))
    assert analyze(NAME, "tiny", "--trial", 0, "-f", "json").stdout == first
    assert (folder / "reconstructions.pt").is_file()
    target = home.store.root / "target" / results[0][1]["artifacts"]["target"].split("/")[-1]
    moved = target.rename(home.root / "moved")
    done = analyze(NAME, "tiny", "--trial", 0)
    assert done.exit_code == 2 and "expected the target of trial 0" in done.stderr
    moved.rename(target)


def test_a_home_that_moved_is_read_where_it_is(ran, tmp_path):
    shutil.copytree(ran[0].root, tmp_path / "home")
    moved = ran[0].root.rename(ran[0].root.with_name("elsewhere"))
    try:
        words = ["analyze", NAME, "tiny", "--trial", "0", "-f", "json", "--home", str(tmp_path / "home")]
        done = CliRunner().invoke(main, words)
    finally:
        moved.rename(ran[0].root)
    assert done.exit_code == 0, done.output
    assert [row["attack"] for row in json.loads(done.stdout)["rows"]] == ["gmi", "gmi_2"]


def test_a_target_from_a_file_is_attacked_as_the_study_says(ran, analyze, tmp_path, monkeypatch):
    home, results = ran
    document = tmp_path / "mine.yaml"
    document.write_text(yaml.safe_dump(DOCUMENT))
    folder = results[0][1]["artifacts"]["target"]
    words = (NAME, folder, "--study", document, "-f", "json", "-S", "trial.identities=1")
    done = analyze(*words)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert [(row["trial"], row["attack"], row["identities"]) for row in rows] == [
        *((None, "gmi", 1), (None, "gmi_2", 1))
    ]
    before = stages(home)
    monkeypatch.setattr(ANALYSES[NAME], "measure", None)
    assert analyze(*words).stdout == done.stdout and stages(home) == before
    assert analyze(*words, "--trial", 0).exit_code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluator_confidenc", "tiny"], "did you mean 'evaluator_confidence'?"),
        ([NAME, "tinny"], "did you mean 'tiny'?"),
        ([NAME, "none.pt"], "nor is there a checkpoint"),
        ([NAME, "tiny", "--trial", "7"], "no such trial (--trial); finished: 0, 1"),
        ([NAME, "tiny", "-S", "trial.identities=1"], "leave out -S"),
        (["judges", "tiny"], "expects at least 2 judges, got 1 (judge)"),
    ],
)
def test_mistakes_are_named(analyze, words, message):
    done = analyze(*words)
    assert done.exit_code == 2 and message in done.stderr, done.output
    assert "Traceback" not in done.output


def test_what_to_know_of_the_judge_stands_beside_its_figures(analyze, ran, tmp_path):
    """One epoch on three people: the judge says nothing, for a stored trial as for a target from a file."""
    words = [text for _, result in ran[1].values() for text in result["warnings"] if "judge" in text]
    assert words
    done = analyze(NAME, "tiny", "--trial", 0, "-f", "json")
    stored = json.loads(done.stdout)["warnings"]
    assert stored == ran[1][0][1]["warnings"]
    shown = analyze(NAME, "tiny", "--trial", 0)
    for text in stored:
        assert text in " ".join(shown.stderr.split())
    study = tmp_path / "tiny.yaml"
    study.write_text(yaml.safe_dump(DOCUMENT))
    target = f"{ran[1][0][1]['artifacts']['target']}/target.pt"
    given = json.loads(analyze(NAME, target, "--study", study, "-f", "json").stdout)["warnings"]
    assert any("judge: its test accuracy" in text for text in given)
