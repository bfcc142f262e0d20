import csv
import io
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from sweeper.cli.app import COMMANDS, main
from sweeper.search.optuna_study import OptunaStudy
from trainables.errors import DiskError, TrialError


@pytest.mark.parametrize(
    "name",
    [
        *("run", "quickstart", "confirm", "attack", "pick", "export", "front", "compare"),
        *("analyze", "prepare", "list", "log", "ui"),
    ],
)
def test_every_command_has_an_example(command, name):
    found = command(name, "--help")
    assert found.exit_code == 0
    assert f"Example: sweeper {name}" in found.output


def test_the_help_lists_the_commands_by_name_and_loads_nothing_heavy():
    code = """
import sys
from sweeper.cli.app import COMMANDS, main
main(["--help"], standalone_mode=False)
print({"torch", "optuna", "ray", "mlflow", "rich", "yaml"} & sys.modules.keys(), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
    section = done.stdout.split("Commands:\n")[1].split("\n\n")[0]
    listed = [line.split()[0] for line in section.splitlines() if line[:3].strip()]
    assert listed == sorted(COMMANDS)


def test_an_unknown_command_is_a_mistake(command):
    found = command("frnt")
    assert found.exit_code == 2 and "No such command 'frnt'" in found.stderr


def test_the_version_is_the_packages(command):
    from trainables import __version__

    assert __version__ in command("--version").output


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"serach": 1}, [], "did you mean 'search'?"),
        ({"space": []}, [], "space must not be empty"),
        ({}, ["-S", "trial.target.architecture=vgg"], "architecture"),
        ({}, ["-S", "trial.target.epochs=0"], "epochs"),
        ({}, ["-S", "nonsense"], "path.to.key=value"),
        ({}, ["--trials", "0"], "--trials"),
        ({"trial": 3}, [], "trial"),
    ],
)
def test_mistakes_exit_with_2_before_any_work(command, study_file, home, changes, arguments, message):
    found = command("run", study_file(**changes), *arguments)
    assert found.exit_code == 2
    assert message in found.stderr
    assert "Traceback" not in found.output
    assert not (home.root / "optuna.db").exists()


def test_a_misspelt_preset_and_an_unwritable_home_exit_with_2(command, tmp_path):
    found = command("run", "quickstrat")
    assert found.exit_code == 2 and "did you mean 'quickstart'?" in found.stderr
    (tmp_path / "file").write_text("")
    found = command("run", "quickstart", "--home", tmp_path / "file")
    assert found.exit_code == 2 and "--home" in found.stderr


@pytest.mark.parametrize(
    "error", [DiskError(28, "the disk is full"), TrialError("no prior"), OSError(28, "full")]
)
def test_failures_exit_with_1(command, study_file, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("sweeper.engine.sweep.sweep", fail)
    found = command("run", study_file())
    assert found.exit_code == 1
    assert found.stderr.splitlines()[-1].startswith("error: ") and "Traceback" not in found.output


def test_front_in_all_forms(command, filled, tmp_path):
    assert "Front of 'cheap'" in command("front", "cheap").stdout
    records = json.loads(command("front", "cheap", "-f", "json").stdout)
    assert [t["on_front"] for t in records["trials"]] == [True, True]
    assert len(records["summary"]) == 3 and records["seed_noise"] is None
    assert "without training seeds" in records["interval_holds"]
    lines = command("front", "cheap", "-f", "csv").stdout.splitlines()
    assert lines[0].startswith("number,state,on_front,test_accuracy") and len(lines) == 3
    (tmp_path / "cheap.yaml").write_text("{name: cheap}")
    assert command("front", tmp_path / "cheap.yaml").exit_code == 0
    wrong = command("front", "cheep")
    assert wrong.exit_code == 2 and "did you mean 'cheap'?" in wrong.stderr


def test_compare_needs_comparable_studies_and_writes_a_report(command, filled, home, cheap, result, tmp_path):
    book = OptunaStudy(
        cheap(name="other", search={"trials": 1}), home.storage, home.study("other") / "history"
    )
    asked = book.ask()
    book.tell(asked.number, result(0.7) | {"params": asked.assignment})
    output = tmp_path / "comparison.html"
    found = json.loads(command("compare", "cheap", "other", "-f", "json", "-o", output).stdout)
    assert [s["study"] for s in found["studies"]] == ["cheap", "other"]
    assert output.read_text().lstrip().lower().startswith("<!doctype html")
    table = command("compare", "cheap", "other")
    assert table.exit_code == 0 and "by other" in table.stdout and "hypervolume" in table.stdout


def test_compare_as_csv_with_published_points(command, filled, tmp_path):
    output = tmp_path / "comparison.html"
    query = "attack=KEDMI,architecture=VGG16,public=FFHQ"
    found = command("compare", "cheap", "--published", query, "-f", "csv", "-o", output)
    assert found.exit_code == 0, found.output
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert [row["kind"] for row in rows] == ["measured", "published"]
    assert float(rows[0]["hypervolume"]) > 0 and rows[1]["study"].startswith("KEDMI on VGG16")
    assert "Published points" in output.read_text() and rows[1]["study"] in output.read_text()
    wrong = command("compare", "cheap", "--published", "attack=KEDMY")
    assert wrong.exit_code == 2 and "KEDMI" in wrong.stderr


def test_compare_names_what_differs_and_obeys_force(command, filled, home, cheap, result):
    study = cheap(name="other", search={"trials": 1}, trial={"seed": 7})
    book = OptunaStudy(study, home.storage, home.study("other") / "history")
    asked = book.ask()
    book.tell(asked.number, result(0.7) | {"params": asked.assignment})
    wrong = command("compare", "cheap", "other")
    assert wrong.exit_code == 2 and "seed: nothing in 'cheap', 7 in 'other'" in wrong.stderr
    assert "--force" in wrong.stderr and wrong.stdout == ""
    found = command("compare", "cheap", "other", "--force")
    assert found.exit_code == 0
    assert "were measured under different conditions" in found.stdout
    assert "seed: nothing in 'cheap', 7 in 'other'" in found.stdout


def test_a_study_that_is_not_there_leaves_no_home(tmp_path):
    found = CliRunner().invoke(main, ["run", "quickstrat", "--home", str(tmp_path / "home")])
    assert found.exit_code == 2 and "did you mean 'quickstart'" in found.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["threat_model", "judge"])
def test_a_misspelt_analysis_is_answered_with_all_there_are(command, name):
    found = command("analyze", name, "cheap")
    assert found.exit_code == 2 and f"did you mean '{name}s'" in found.stderr
    assert "layers" in found.stderr and "accuracy_control" in found.stderr


def test_a_report_that_cannot_be_written_is_a_mistake_to_correct(command, filled, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "none"):
        found = command("compare", "cheap", "-o", folder / "report.html")
        assert found.exit_code == 2
        assert found.stderr == f"error: expected a folder {folder}, got none (-o); make it first\n"
    assert not (tmp_path / "none").exists()


def test_pick_names_a_trial(command, filled):
    found = json.loads(command("pick", "cheap", "--max-attack-accuracy", 0.5, "-f", "json").stdout)
    assert found["trial"] == 0 and found["values"]["test_accuracy"] == 0.5
    assert "trial 1: nothing frozen" in command("pick", "cheap", "--min-accuracy", 0.8).stdout
    elsewhere = command("pick", "cheap", "--min-accuracy", 0.8, "--home", filled.root).stdout
    assert elsewhere.endswith(f"add to each of these commands: --home {filled.root}\n")
    wrong = command("pick", "cheap", "--min-accuracy", 0.95)
    assert wrong.exit_code == 2 and "the nearest is trial 1" in wrong.stderr
    assert command("pick", "cheap").exit_code == 2


@pytest.mark.parametrize("option", ["--replicate", "--seed"])
def test_export_hands_over_what_was_asked(command, filled, tmp_path, monkeypatch, option):
    asked = []

    def release(home, name, number, folder, *, replicate):
        asked.append((home.root, name, number, folder, replicate))
        return folder

    wrong = command("export", "cheap", "--trial", 5, "-o", tmp_path / "out")
    assert wrong.exit_code == 2 and "no such trial (--trial); finished: 0, 1" in wrong.stderr
    monkeypatch.setattr("sweeper.results.export.export", release)
    found = command("export", "cheap", "--trial", 1, "-o", tmp_path / "out", option, 2)
    assert found.exit_code == 0 and str(tmp_path / "out") in found.stdout
    assert asked == [(filled.root, "cheap", 1, tmp_path / "out", 2)]


def test_front_tells_the_warnings_and_shows_all_on_request(command, filled):
    found = command("front", "cheap")
    assert found.exit_code == 0, found.output
    assert "WARNING: weak judge: its test accuracy is 0.6 (2 trials)" in found.stderr
    assert "Trials of 'cheap'" in command("front", "cheap", "--all").stdout
