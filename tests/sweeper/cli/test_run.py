"""`run`, `quickstart` and `confirm`: what is handed to the engine, what is said, and how they end."""

import dataclasses

import pytest
import yaml

from sweeper.engine.sweep import SweepResult
from sweeper.search.optuna_study import OptunaStudy
from sweeper.study.loading import load_study
from trainables.cost import STAGES
from trainables.errors import TrialError
from trainables.runtime.duration import Duration


def test_an_interrupt_says_how_to_go_on(command, study_file, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("sweeper.engine.sweep.sweep", stop)
    path = study_file()
    found = command("run", path, "--trials", 3, "-S", "search.seed=4")
    assert found.exit_code == 130
    assert f"sweeper run {path} --trials 3 -S search.seed=4" in found.stderr


@pytest.mark.parametrize("words", [[], ["--anyway"]])
def test_a_useless_judge_is_overruled_by_anyway_alone(command, study_file, monkeypatch, words):
    asked = []

    def stop(*args, anyway, **kwargs):
        asked.append(anyway)
        raise KeyboardInterrupt

    monkeypatch.setattr("sweeper.engine.sweep.sweep", stop)
    found = command("run", study_file(), *words)
    assert asked == [bool(words)]
    assert found.stderr.rstrip().endswith(" ".join(["mine.yaml", *words]))


def test_run_ends_with_the_front_the_warnings_and_where_to_look(command, study_file, filled, monkeypatch):
    from sweeper.results.records import study_records

    def done(study, home, **_):
        return SweepResult(study_records(home, "cheap"), 16, home.report("cheap"), ["MLflow failed"])

    monkeypatch.setattr("sweeper.engine.sweep.sweep", done)
    found = command("run", study_file())
    assert found.exit_code == 0, found.output
    assert "is complete" in found.stdout
    assert "0.900" in found.stdout and "[0.405, 1.000]" in found.stdout
    assert (
        "hypervolume" in found.stdout
        and "reference point: test_accuracy 0, attack_accuracy 1" in found.stdout
    )
    assert "report.html" in found.stdout and f"sweeper ui --home {filled.root}" in found.stdout
    assert "WARNING: weak judge" in found.stderr and "WARNING: MLflow failed" in found.stderr


def test_a_sweep_without_results_shows_what_there_is_and_fails(command, study_file, filled, monkeypatch):
    from sweeper.results.records import study_records

    def done(study, home, **_):
        return SweepResult(study_records(home, "cheap"), 0, None, [], "gave up after 10 failed trials")

    monkeypatch.setattr("sweeper.engine.sweep.sweep", done)
    found = command("run", study_file())
    assert found.exit_code == 1 and "hypervolume" in found.stdout
    assert found.stderr.endswith("error: gave up after 10 failed trials\n")


def test_dry_run_shows_the_study_and_starts_nothing(command, study_file, home, monkeypatch):
    seconds = {stage: Duration(low=1, high=2) for stage in STAGES} | {"prior": Duration(low=60, high=80)}
    monkeypatch.setattr("trainables.cost.estimate", lambda config, device, **_: seconds)
    found = command("run", study_file(), "--trials", 7, "-S", "controls=false", "--dry-run")
    assert found.exit_code == 0, found.output
    resolved = yaml.safe_load(found.stdout)
    assert resolved["search"]["trials"] == 7
    assert resolved["trial"]["target"]["freeze_point"] == "none"
    written = [path for path in home.root.rglob("*") if path.is_file()]
    (sheet,) = [path for path in written if "cache" not in path.parts]  # pixels may be made again
    assert sheet.name == "contact_sheet.png" and f"# contact sheet: {sheet}" in found.stdout
    assert "# trials: 7" in found.stdout and "prior 1 to 1.5 min" in found.stdout
    runs = 7 + 2 * 2  # a defended and an undefended trial under two seeds more
    assert (2 + 60 + runs * 3, 4 + 80 + runs * 6) == (95, 150)
    assert "in all 1.5 to 2.5 min of work" in found.stdout


def test_a_dry_run_of_a_changed_study_is_bad_input(command, study_file, home, monkeypatch):
    """As the run that it would plan."""
    monkeypatch.setattr("trainables.cost.estimate", lambda *_, **__: pytest.fail("estimated"))
    path = study_file()
    OptunaStudy(load_study(str(path)), home.storage, home.root).ask()
    found = command("run", path, "-S", "trial.target.epochs=99", "--dry-run")
    assert found.exit_code == 2 and found.stderr.count("error:") == 1
    assert "study 'mine' must keep its trial, space and objectives; changed" in found.stderr
    assert found.stderr == command("run", path, "-S", "trial.target.epochs=99").stderr


def test_confirm_measures_the_stored_study_again(command, filled, cheap, monkeypatch):
    from sweeper.engine import confirm as module
    from sweeper.results.records import study_records

    wrong = command("confirm", "cheap")
    assert wrong.exit_code == 2 and "expected the study file" in wrong.stderr
    study = cheap(search={"trials": 2})
    (filled.study("cheap") / "study.yaml").write_text(yaml.safe_dump(dataclasses.asdict(study)))
    asked = {}

    def measure(template, place, **options):
        asked.update(options, name=template.name, budget=template.budget)
        options["display"].say("measuring")
        records = study_records(place, "cheap")
        return module.Confirmed(records, *counts, [7, 9], ["trial 0 under seed 1: out of memory"])

    monkeypatch.setattr(module, "confirm", measure)
    counts = 4, 4
    assert command("confirm", "cheap").exit_code == 0
    counts = 3, 4  # a script must not take this for done
    found = command("confirm", "cheap", "--seeds", 2, "--attacks", "gmi:cpu", "--near", 3)
    assert found.exit_code == 1 and "error: 1 of 4 measurements failed; start again" in found.stderr
    assert (asked["name"], asked["budget"], asked["seeds"], asked["near"]) == ("cheap", 2, 2, 3)
    assert asked["attacks"] == [{"kind": "gmi", "preset": "cpu"}] and asked["fresh"] is None
    command("confirm", "cheap", "--fresh", "judge", "--fresh", "split")
    assert (asked["fresh"], asked["seeds"]) == (("split", "judge"), None)
    command("confirm", "cheap", "--fresh", "judge,seeds")
    assert (asked["fresh"], asked["seeds"]) == (("seeds", "judge"), 3)
    wrong = command("confirm", "cheap", "--fresh", "seed")
    assert wrong.exit_code == 2 and "did you mean 'seeds'?" in wrong.stderr
    assert "not measured (--near): trials 7, 9" in found.stdout
    assert "WARNING: trial 0 under seed 1: out of memory" in found.stderr

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "confirm", stop)
    found = command("confirm", "cheap", "--attacks", "{kind: gmi}")
    assert found.exit_code == 130
    assert "sweeper confirm cheap --attacks '{kind: gmi}'" in found.stderr
    stopped = command("confirm", "cheap", "--fresh", "judge").stderr
    assert "sweeper confirm cheap --fresh judge" in stopped
    assert command("confirm", "cheap", "--attacks", "3").exit_code == 2
    wrong = command("confirm", "cheep")
    assert wrong.exit_code == 2 and "did you mean 'cheap'?" in wrong.stderr


def test_a_sweep_gets_the_study_the_home_and_the_options(command, study_file, tmp_path, monkeypatch):
    asked = []

    def stop(study, place, **options):
        assert place.root.is_dir()  # made, and tried, before any work
        asked.append((study, place.root, options))
        raise TrialError("no prior")

    monkeypatch.setattr("sweeper.engine.sweep.sweep", stop)
    words = ["--trials", 3, "-S", "search.seed=4", "-S", "name=third", "--address", "host:1", "--anyway"]
    found = command("run", study_file(), *words, "--home", tmp_path / "other")
    ((study, root, options),) = asked
    assert (study.name, study.budget, study.search.seed) == ("third", 3, 4)
    assert root == tmp_path / "other"
    assert options.pop("display") is not None
    assert options == {"address": "host:1", "anyway": True}
    assert found.exit_code == 1 and found.stderr.endswith("error: no prior\n")


def test_what_is_known_of_the_trials_is_said_before_they_run(command, study_file, monkeypatch):
    def stop(study, *_, **__):
        raise TrialError(study.name)

    monkeypatch.setattr("sweeper.study.checks.known_warnings", lambda study: [f"{study.name} one", "two"])
    monkeypatch.setattr("sweeper.engine.sweep.sweep", stop)
    found = command("run", study_file())
    assert found.stderr == "WARNING: mine one\nWARNING: two\nerror: mine\n" and found.stdout == ""


@pytest.mark.parametrize("failure", ["", "gave up after 10 failed trials"])
def test_quickstart_runs_its_preset_and_says_what_is_next_once_it_is_done(
    command, filled, monkeypatch, failure
):
    from sweeper.results.records import study_records

    asked = []

    def done(study, place, *, display, **options):
        asked.append((study.name, place.root, options))
        return SweepResult(study_records(place, "cheap"), 0, None, [], failure)

    monkeypatch.setattr("sweeper.engine.sweep.sweep", done)
    found = command("quickstart")
    assert asked == [("quickstart", filled.root, {"address": None, "anyway": False})]
    assert found.exit_code == (1 if failure else 0)
    assert found.stdout.endswith(
        "\nNext: `sweeper list presets`, or write a study file of your own and `sweeper run` it.\n"
    ) != bool(failure)


def test_a_dry_run_shows_a_study_whose_files_are_not_here_and_refuses_it(command, study_file, home, tmp_path):
    missing = f"trial.prior={{kind: stylegan2, path: {tmp_path / 'none.pkl'}}}"
    words = ["-S", "trial.attack={kind: ppa}", "-S", missing, "--trials", 7, "--dry-run"]
    found = command("run", study_file(), *words)
    assert found.exit_code == 2 and f"found no file at {tmp_path / 'none.pkl'}" in found.stderr
    shown = yaml.safe_load(found.stdout)
    assert shown["trial"]["prior"]["path"] == str(tmp_path / "none.pkl") and shown["search"]["trials"] == 7
    assert shown["trial"]["target"]["freeze_point"] == "none"  # every default is written out
    wrong = command("run", study_file(published=["attack=KEDMY"]), *words)
    assert wrong.exit_code == 2 and "KEDMI" in wrong.stderr and wrong.stdout == ""
    wrong = command("run", study_file(), *words, "-S", "trial.target.epochs=0")
    assert wrong.exit_code == 2 and "epochs must be at least 1" in wrong.stderr and wrong.stdout == ""
    assert not [path for path in home.root.rglob("*") if path.is_file()]


def test_a_confirmation_that_is_complete_shows_the_front_and_its_report(command, filled, cheap, monkeypatch):
    from sweeper.engine import confirm as module
    from sweeper.results.records import study_records

    study = cheap(search={"trials": 2})
    (filled.study("cheap") / "study.yaml").write_text(yaml.safe_dump(dataclasses.asdict(study)))
    asked = {}

    def measure(template, place, **options):
        asked.update(options)
        return module.Confirmed(study_records(place, "cheap"), 6, 6)

    monkeypatch.setattr(module, "confirm", measure)
    found = command("confirm", filled.root / "cheap.yaml", "--address", "host:1")
    assert found.exit_code == 2 and not asked  # no such file
    found = command("confirm", "cheap", "--address", "host:1")
    assert found.exit_code == 0, found.output
    assert (asked["address"], asked["near"], asked["attacks"]) == ("host:1", None, [])
    assert "Front of 'cheap'" in found.stdout and "--near" not in found.stdout
    assert found.stdout.endswith(f"report:  {filled.report('cheap')}\n")
    assert "WARNING: weak judge: its test accuracy is 0.6 (2 trials)" in found.stderr
