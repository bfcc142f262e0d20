"""`sweeper analyze` of sets of trials: what it shows before work, a toy run by the engine, and mistakes."""

import json
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner
from toy_study import TOY

from sweeper.analyses import STUDY_ANALYSES
from sweeper.cli import analyses
from sweeper.cli.app import main
from sweeper.cli.registry import details, study_analyses

SMALL = ("--seeds", "2", "--freeze-point", "conv2")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "toy.yaml"
    path.write_text(yaml.safe_dump(TOY))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def analyze(home):
    def call(*words):
        return CliRunner().invoke(main, ["analyze", *map(str, words), "--home", str(home)])

    return call


def test_they_are_listed_and_told_of_in_the_help():
    assert study_analyses() == list(STUDY_ANALYSES)
    text = CliRunner().invoke(main, ["analyze", "--help"]).stdout
    listed = CliRunner().invoke(main, ["list", "analyses"]).stdout
    for name in STUDY_ANALYSES:
        assert f"`{name}`" in text and name in listed
    assert {knob["name"] for knob in details("analyses", "accuracy_control")["knobs"]} == {
        *("seeds", "freeze_points", "epochs")
    }
    assert set(analyses.PLOTTED) - {"layers"} <= set(STUDY_ANALYSES)


def test_a_dry_run_shows_the_derived_study_and_its_cost(analyze, study, home):
    done = analyze("accuracy-control", study, *SMALL, "--epoch", 1, "--epoch", 4, "--dry-run")
    assert done.exit_code == 0, done.output
    shown = yaml.safe_load(done.stdout)
    assert shown["name"] == "toy_accuracy_control"
    assert shown["space"] == [
        {"target.freeze_point": {"ordered": ["none", "conv2"]}},
        {"target.kept_epoch": {"ordered": [1, 4]}},
    ]
    assert "# trials: 4 " in done.stdout and "under 2 seeds" in done.stdout
    assert "of work:" in done.stdout and not (home / "store").exists()


def test_the_engine_runs_it_and_started_again_it_is_read(analyze, study, home, ray_address):
    words = ("frozen-batchnorm", study, *SMALL, "--anyway", "--address", ray_address)
    first = analyze(*words, "-f", "json")
    assert first.exit_code == 0, first.output
    shown = json.loads(first.stdout)
    (row,) = shown["rows"]
    assert row["freeze_point"] == "conv2" and 0 <= row["attack_accuracy_train"] <= 1
    folder = home / "studies" / "toy_frozen_batchnorm"
    assert json.loads((folder / "analysis.json").read_text()) == shown
    assert (folder / "report.html").is_file()
    stages = sorted((home / "store").glob("*/*/"))
    again = analyze(*words)
    assert again.exit_code == 0, again.output
    assert sorted((home / "store").glob("*/*/")) == stages
    text = " ".join(again.stdout.split())
    assert shown["does_not_show"] in text and all(sentence in text for sentence in shown["sentences"])
    other = analyze("frozen-batchnorm", study, "--seeds", 3, "--freeze-point", "conv2", "--anyway")
    assert other.exit_code == 2 and "replicates" in other.stderr  # the stored one has two


def test_a_plot_is_written(analyze, study, tmp_path, monkeypatch):
    from sweeper.analyses import measure
    from sweeper.analyses.base import Conclusion

    point = {"series": "none", "test_accuracy": 0.8, "attack_accuracy": 0.3}

    class Outcome:
        records, problems, report, failure = None, (), None, ""

    def analyzed(analysis, study, home, display, **options):
        conclusion = Conclusion(rows=({"freeze_point": "none"},), sentences=("so it is",), points=(point,))
        return measure.StudyAnalyzed(analysis=analysis, study=study, outcome=Outcome(), conclusion=conclusion)

    monkeypatch.setattr(measure, "analyze_study", analyzed)
    plot = tmp_path / "plot.svg"
    done = analyze("accuracy_control", study, "--plot", plot, "-f", "json")
    assert done.exit_code == 0, done.output
    svg = ElementTree.fromstring(plot.read_text())
    assert [each.get("data-series") for each in svg.iter() if each.get("data-series")] == ["none"]
    Outcome.failure = "gave up after 10 failed trials"
    failed = analyze("accuracy_control", study, "-f", "json")
    assert failed.exit_code == 1 and "so it is" in failed.stdout
    assert "error: gave up after 10 failed trials" in failed.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["accuracy_control", "--trial", "1"], "runs trials of its own; leave out --trial"),
        (
            ["threat-models", "--epoch", "2"],
            "--epoch belongs to analysis 'accuracy_control', 'defenses', 'layer_roles', 'pretraining'",
        ),
        (
            ["threat-models", "--plot", "a.svg"],
            "--plot belongs to the analyses layers, accuracy_control",
        ),
        (["layer-roles", "--freeze-point", "conv2"], "--freeze-point belongs to analysis 'accuracy_control'"),
        (["frozen_batchnorm", "--freeze-point", "conv"], "got 'conv'; did you mean"),
        (["pretraining", "--variants", "no.yaml"], "found nothing at no.yaml"),
        (["judges", "--seeds", "2"], "--seeds belongs to the analyses accuracy_control"),
        (["layers", "--dry-run"], "--dry-run belongs to the analyses accuracy_control"),
        (["frozen_batchnorm", "-S", "trial.target.epochs=0"], "epochs must be at least 1"),
    ],
)
def test_mistakes_are_named(analyze, study, words, message):
    done = analyze(words[0], study, *words[1:])
    assert done.exit_code == 2 and message in " ".join(done.stderr.split()), done.output
