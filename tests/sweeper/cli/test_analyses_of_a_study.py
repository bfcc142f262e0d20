"""Every analysis by its command, on a real, tiny study: an undefended and a frozen trial, two judges."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
import yaml
from click.testing import CliRunner

from sweeper.cli.app import main
from sweeper.search.analysis_notes import AnalysisNote, keep
from sweeper.search.optuna_study import OptunaStudy
from sweeper.statistics.paired import paired_test
from sweeper.storage.home import Home
from sweeper.study.loading import parse_study
from trainables.analyses import ANALYSES
from trainables.analyzed import analyze_trial
from trainables.config import load_trial
from trainables.stages.opinion import second_opinion
from trainables.storage.store import Store
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "images_per_identity": 6}
JUDGE = {"kind": "classifier", "architecture": "small_cnn", "epochs": 1}
DOCUMENT = {
    "name": "tiny",
    "trial": {
        "image_size": 32,
        "private": {**FACES, "population": "private", "identities": 4},
        "public": {**FACES, "population": "public", "identities": 3},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi", "width": 4, "epochs": 1},
        "attack": {"kind": "gmi", "iterations": 2, "restarts": 2},
        "judge": [JUDGE, {**JUDGE, "epochs": 2}],
        "identities": 3,
    },
    "space": [{"target.freeze_point": {"ordered": ["conv2", "none"]}}],
    "search": {"trials": 2, "anchors": False, "sampler": "grid"},
    "tracking": {"mlflow": False},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a home with two finished trials, their results by number, and the number of the undefended."""
    home = Home(tmp_path_factory.mktemp("analyses") / "home")
    home.prepare()
    home.study("tiny").mkdir(parents=True, exist_ok=True)
    (home.study("tiny") / "study.yaml").write_text(yaml.safe_dump(DOCUMENT))
    book = OptunaStudy(parse_study(DOCUMENT, "test"), home.storage, home.study("tiny") / "history")
    results = {}
    for _ in range(2):
        asked = book.ask()
        results[asked.number] = run_trial(load_trial(asked.document), store=home.store).to_json()
        book.tell(asked.number, results[asked.number] | {"params": asked.assignment})
    plain = next(number for number, result in results.items() if result["freeze_point"] == "none")
    return home, results, plain


@pytest.fixture
def analyze(ran):
    def call(*words):
        return CliRunner().invoke(main, ["analyze", *map(str, words), "--home", str(ran[0].root)])

    return call


@pytest.fixture
def here(ran, analyze):
    """Return what measures both trials one by one, which needs no Ray."""

    def measure(name):
        for number in ran[1]:
            assert analyze(name, "tiny", "--trial", number).exit_code == 0

    return measure


def rows_of(done):
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["rows"]


@pytest.mark.parametrize("name", ANALYSES)
def test_it_runs_on_a_study_and_is_read_the_second_time(name, ran, analyze, here, monkeypatch):
    here(name)
    words = (name, "tiny", "--trial", 1, "--trial", 0)
    first = analyze(*words, "-f", "json")
    assert [row["trial"] for row in rows_of(first)] == [1, 0]
    monkeypatch.setattr(ANALYSES[name], "measure", None)
    assert analyze(*words, "-f", "json").stdout == first.stdout
    shown = analyze(*words)
    assert shown.exit_code == 0 and shown.stdout.strip().startswith(name)
    assert ANALYSES[name].limits in " ".join(shown.stdout.split())
    assert name in CliRunner().invoke(main, ["list", "analyses"]).stdout


def test_several_trials_are_measured_on_ray_and_stand_in_report_and_mlflow(ran, tmp_path, ray_address):
    from mlflow import MlflowClient

    home, results = Home(tmp_path / "home"), ran[1]
    shutil.copytree(ran[0].root, home.root, ignore=shutil.ignore_patterns("analysis", "report.html"))
    study = {**DOCUMENT, "tracking": {"mlflow": True}, "resources": {"cpus_per_trial": 1, "niceness": 0}}
    (home.study("tiny") / "study.yaml").write_text(yaml.safe_dump(study))
    truth = []
    for number, result in results.items():  # in this process, and in a store that has no figures yet
        keys = {name: folder.split("/")[-1] for name, folder in result["artifacts"].items()}
        target = {**DOCUMENT["trial"]["target"], "freeze_point": result["freeze_point"]}
        document = {**DOCUMENT["trial"], "target": target}
        store = Store(shutil.copytree(home.store.root, tmp_path / f"store{number}"))
        stages = {"target": keys["target"], "attacks": {"": keys["attack"]}}
        stages["judges"] = [keys["judge"], keys["judge_2"]]
        rows = analyze_trial(load_trial(document), ANALYSES["layers"](), **stages, store=store)
        truth += [{"trial": number, **row} for row in rows]
        keep(home.storage, "tiny", "layers", number, AnalysisNote("measured on something else", []))

    words = ["layers", "tiny", "--trial", "0", "--trial", "1", "--home", str(home.root), "-f", "json"]
    done = CliRunner().invoke(main, ["analyze", *words])
    found = rows_of(done)
    assert [(row["trial"], row["attack"]) for row in found] == [(0, "gmi"), (1, "gmi")]
    for row, true in zip(found, truth, strict=True):
        assert row.keys() == true.keys() and row["layer"] == true["layer"]
        assert row["inversion_l2"] == pytest.approx(true["inversion_l2"], rel=1e-3)
    assert "starting Ray" in done.stderr and "2 of 2 trials" in done.stderr
    assert "trial 0: analyzed after" in done.stderr and "trial 1: analyzed after" in done.stderr
    page = home.report("tiny").read_text()
    assert "<h2>Analyses</h2>" in page and ANALYSES["layers"].limits in page

    client = MlflowClient(tracking_uri=home.tracking)

    def logged():
        experiment = client.get_experiment_by_name("sweeper").experiment_id
        runs = client.search_runs([experiment], filter_string="tags.`analysis.layers` LIKE '%'")
        return {int(run.data.tags["trial.number"]): run for run in runs}

    runs = logged()
    assert sorted(runs) == [0, 1]
    for row in found:
        run = runs[row["trial"]]
        assert run.data.metrics["layers.reconstructions"] == row["reconstructions"]
        file = client.download_artifacts(run.info.run_id, "analyses/layers.json", str(tmp_path))
        assert json.loads(Path(file).read_text()) == {"analysis": "layers", "rows": [row]}
    again = CliRunner().invoke(main, ["analyze", *words])
    assert again.stdout == done.stdout and "starting Ray" not in again.stderr
    assert CliRunner().invoke(main, ["log", "tiny", "--rebuild", "--home", str(home.root)]).exit_code == 0
    rebuilt = logged()
    assert {n: run.data.metrics for n, run in rebuilt.items()} == {
        n: run.data.metrics for n, run in runs.items()
    }
    assert {run.info.run_id for run in rebuilt.values()}.isdisjoint(run.info.run_id for run in runs.values())


def test_a_study_that_another_process_drives_is_read_and_not_measured(ran, analyze):
    home = ran[0]
    assert analyze("judges", "tiny", "--trial", 0).exit_code == 0
    with home.driver("tiny"):
        assert analyze("judges", "tiny", "--trial", 0).exit_code == 0
        keep(home.storage, "tiny", "judges", 0, AnalysisNote("measured on something else", []))
        done = analyze("judges", "tiny", "--trial", 0)
    assert done.exit_code == 2 and "expected study 'tiny' to be free" in " ".join(done.stderr.split())
    assert analyze("judges", "tiny", "--trial", 0).exit_code == 0


def test_layers_are_drawn_and_a_freeze_point_is_proposed(ran, analyze, tmp_path):
    plot = tmp_path / "layers.svg"
    rows = rows_of(analyze("layers", "tiny", "--trial", 0, "-f", "json"))
    done = analyze("layers", "tiny", "--trial", 0, "--suggest", "--plot", plot)
    assert f"trial 0, gmi: freeze up to {rows[0]['suggested_freeze_point']}" in done.stdout
    assert "rule:" in done.stdout and "not a measurement" in " ".join(done.stdout.split())
    svg = ElementTree.fromstring(plot.read_text())
    labels = [each.get("data-layer") for each in svg.iter() if each.get("data-layer")]
    assert labels == rows[0]["layer"] == [*(f"conv{n}" for n in range(1, 7)), "head"]
    for column in ("classification_share", "inversion_l2_share"):
        assert sum(rows[0][column]) == pytest.approx(1)


def test_a_checkpoint_has_layers_and_no_way_of_training(ran, analyze, tmp_path):
    study = tmp_path / "mine.yaml"
    study.write_text(yaml.safe_dump(DOCUMENT))
    _, results, _ = ran
    folder = results[0]["artifacts"]["target"]
    (row,) = rows_of(analyze("layers", folder, "--study", study, "-f", "json"))
    (stored,) = rows_of(analyze("layers", "tiny", "--trial", 0, "-f", "json"))
    assert row["classification"] == pytest.approx(stored["classification"], rel=1e-4)
    for name in ("cost", "membership"):
        done = analyze(name, folder, "--study", study)
        assert done.exit_code == 2 and "expects a study" in done.stderr


def test_judges_are_those_of_the_stored_opinions(ran, analyze):
    home, results, _ = ran
    folders = list(home.store.root.glob("opinion/*/"))
    (row,) = rows_of(analyze("judges", "tiny", "--trial", 0, "-f", "json"))
    assert sorted(folders) == sorted(home.store.root.glob("opinion/*/"))  # none is made anew
    assert row["judges"] == ["classifier", "classifier_2"]
    artifacts = results[0]["artifacts"]
    key = artifacts["attack"].split("/")[-1]
    choices = {}
    for folder in folders:
        parts = json.loads((folder / "key.json").read_text())
        if parts["attack"] == key:
            stored = json.loads((folder / "result.json").read_text())["result"]
            choices[parts["judge"]] = torch.tensor(stored["choices"])
    first, second = (choices[artifacts[name].split("/")[-1]] for name in ("judge", "judge_2"))
    truth = second_opinion(first, second, torch.arange(3))
    assert row["agreement"] == [pytest.approx(truth["agreement"])] * 2
    assert row["false_positive_rate"][0] == truth["false_positive_rate"]


def test_false_positives_are_compared_with_the_undefended_trial(ran, analyze, here):
    _, _, plain = ran
    here("false_positives")
    done = analyze("false_positives", "tiny", "--trial", plain, "--trial", 1 - plain, "-f", "json")
    analyzed = json.loads(done.stdout)
    (comparison,) = analyzed["comparisons"]
    assert (comparison["trial"], comparison["against"]) == (1 - plain, plain)
    undefended, defended = analyzed["rows"]
    for figure in ("confidence", "sure"):
        truth = paired_test(defended[f"{figure}_per_identity"], undefended[f"{figure}_per_identity"])
        assert comparison["tests"][figure]["difference"] == pytest.approx(truth.difference)
        assert comparison["tests"][figure]["p"] == truth.p
    assert set(comparison["conclusion"]) == {"classifier", "classifier_2"}
    by_default = json.loads(analyze("false-positives", "tiny", "-f", "json").stdout)
    assert by_default["rows"][0]["trial"] == plain  # though it comes second in the study
    shown = analyze("false_positives", "tiny", "--trial", plain, "--trial", 1 - plain)
    assert "person by person" in shown.stdout and f"trial {1 - plain}, gmi, by judge" in shown.stdout


def test_cost_and_membership_need_no_target(ran, analyze):
    """They train their own: a study whose targets were deleted has them still."""
    home, _, plain = ran
    target = home.store.root / "target"
    moved = target.rename(home.root / "moved")
    try:
        (cost,) = rows_of(analyze("cost", "tiny", "--trial", plain, "-f", "json"))
        (member,) = rows_of(analyze("membership", "tiny", "--trial", plain, "-f", "json"))
    finally:
        moved.rename(target)
    assert cost["ratio"] == pytest.approx(cost["training_seconds"] / cost["undefended_training_seconds"])
    assert cost["attack"] == "" and cost["recipe_epochs"] == 1
    assert (member["people"], member["targets"]) == (4, 8) and 0 <= member["auc"] <= 1


def test_batch_norm_that_follows_no_private_image_tells_nothing(ran, analyze):
    (row,) = rows_of(analyze("batch_norm", "tiny", "--trial", 1 - ran[2], "-f", "json"))
    assert (row["auc"], row["auc_interval"], row["auc_eval"]) == (0.5, [0.5, 0.5], 0.5)
    assert (row["statistics"], row["people"], row["targets"], row["attack"]) == (0, 4, 32, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["judges", "tiny", "--suggest"], "--suggest belongs to analysis 'layers'"),
        (["cost", "tiny", "--plot", "a.svg"], "--plot belongs to the analyses layers, accuracy_control"),
        (["layers", "tiny", "--plot", "no/such/a.svg"], "(--plot)"),
    ],
)
def test_an_option_of_another_analysis_is_a_mistake(analyze, words, message):
    done = analyze(*words)
    assert done.exit_code == 2 and message in " ".join(done.stderr.split())
