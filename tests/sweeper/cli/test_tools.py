"""`attack`, `prepare`, `list`, `log` and `ui`: what they hand on, what they print, and how they end."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from trainables.errors import ConfigError


def test_list_names_what_there_is(command):
    listed = json.loads(command("list", "defenses", "-f", "json").stdout)
    assert set(listed[0]) == {"name", "summary", "source"}
    assert command("list", "attacks").exit_code == 0
    assert command("list", "attack").exit_code == 2


def test_ui_needs_records(command):
    found = command("ui")
    assert found.exit_code == 2 and "run a study there first" in found.stderr


def test_ui_fails_as_its_server_does(command, monkeypatch):
    monkeypatch.setattr("sweeper.tracking.mlflow_server.serve", lambda home, port: port - 4999)
    assert command("ui", "--port", 4999).exit_code == 0
    found = command("ui", "--port", 5000)
    assert found.exit_code == 1 and "server ended with exit code 1" in found.stderr


def test_ui_opens_the_home_at_the_port(command, home, monkeypatch):
    asked = []
    monkeypatch.setattr("sweeper.tracking.mlflow_server.serve", lambda *given: asked.append(given) or 0)
    assert command("ui").exit_code == command("ui", "--port", 1).exit_code == 0
    assert [(place.root, port) for place, port in asked] == [(home.root, 5000), (home.root, 1)]
    assert command("ui", "--port", 0).exit_code == command("ui", "--port", 65536).exit_code == 2


def test_a_table_says_what_there_is_beside_what_it_lists(command):
    text = "any other classifier: torchvision:NAME or timm:NAME"
    shown = command("list", "architectures")
    assert shown.exit_code == 0 and shown.stdout.splitlines()[-1].startswith(text)
    assert isinstance(json.loads(command("list", "architectures", "-f", "json").stdout), list)
    assert text not in command("list", "judges").stdout


@pytest.fixture
def attacks(monkeypatch, tmp_path):
    """Return what the functions behind `attack` were asked for."""
    calls = []

    def attack(checkpoint, attacks, study, home, display, overrides, labels):
        assert display is not None
        calls.append(("attack", checkpoint, attacks, study, home.root, overrides, labels))
        return {"study": study}

    monkeypatch.setattr("sweeper.cli.attack.attack", attack)
    monkeypatch.setattr("sweeper.cli.attack.show_attack", lambda found: calls.append(("shown", found)))
    monkeypatch.setattr("sweeper.cli.attack.show_attack_plan", lambda *given: calls.append(("plan", *given)))
    monkeypatch.setenv("HOME", str(tmp_path))
    return calls


def test_an_attack_gets_its_options_and_shows_a_table_or_json(command, attacks, home, tmp_path):
    assert command("attack", "model.pt").exit_code == 0
    usual = ("attack", Path("model.pt"), (), "quickstart", home.root, (), None)
    assert attacks == [usual, ("shown", {"study": "quickstart"})]
    attacks.clear()
    options = ["--attack", "gmi:cpu", "--attack", "map", "--study", "mine.yaml", "-S", "a=1", "-S", "b=2"]
    found = command("attack", "~/model.pt", *options, "--labels", "~/names.txt", "-f", "json")
    named = (("gmi:cpu", "map"), "mine.yaml", home.root, ("a=1", "b=2"), tmp_path / "names.txt")
    assert attacks == [("attack", tmp_path / "model.pt", *named)]
    assert json.loads(found.stdout) == {"study": "mine.yaml"}


def test_a_dry_run_of_an_attack_attacks_nothing(command, attacks):
    words = ["model.pt", "--attack", "gmi", "--study", "s", "-S", "a=1", "--labels", "names", "--dry-run"]
    assert command("attack", *words).exit_code == 0
    assert attacks == [("plan", Path("model.pt"), ("gmi",), "s", ("a=1",), Path("names"))]


def test_a_data_set_to_prepare_gets_its_options(command, home, monkeypatch, tmp_path):
    asked = []

    def note(kind, root, place, knobs, *, partial):
        asked.append((kind, root, place.root, knobs, partial))
        return {"counts": 3}

    monkeypatch.setattr("sweeper.cli.convert.prepare_dataset", note)
    monkeypatch.setattr("sweeper.cli.convert.show_dataset", lambda found: print(f"told {found}"))
    found = command("prepare", "celeba", "--root", tmp_path)
    assert asked == [("celeba", tmp_path, home.root, (), False)]
    assert found.stdout == "told {'counts': 3}\n" and found.stderr == f"reading {tmp_path}\n"
    words = ["--root", tmp_path, "-S", "part=train", "-S", "crop=9", "--partial", "-f", "json"]
    found = command("prepare", "lfw", *words)
    assert asked[1] == ("lfw", tmp_path, home.root, ("part=train", "crop=9"), True)
    assert json.loads(found.stdout) == {"counts": 3}
    assert command("prepare", "lfw").exit_code == command("prepare", "lwf", "--root", "x").exit_code == 2
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("words", "output", "force"),
    [((), None, False), (("-o", "new.safetensors", "--force"), "new.safetensors", True)],
)
def test_a_checkpoint_to_prepare_gets_its_options(command, monkeypatch, words, output, force):
    asked = []
    monkeypatch.setattr(
        "sweeper.cli.convert.prepare_stylegan2", lambda *a, **k: asked.append((a, k)) or "made"
    )
    monkeypatch.setattr("sweeper.cli.convert.show_stylegan2", print)
    found = command("prepare", "stylegan2", "ffhq.pkl", *words)
    assert asked == [((Path("ffhq.pkl"), output and Path(output)), {"force": force})]
    assert (found.stdout, found.stderr) == ("made\n", "reading ffhq.pkl\n")


@pytest.fixture
def mlflow(filled, cheap, monkeypatch):
    """Return what MLflow's writer was given, of a study with two trials whose study file is stored."""
    study = cheap(search={"trials": 2}, tracking={"mlflow": True})
    (filled.study("cheap") / "study.yaml").write_text(yaml.safe_dump(dataclasses.asdict(study)))
    given = {"closed": False, "problem": ""}

    class Tracker:
        def __init__(self, study, home, *, afresh):
            given.update(study=study.name, accuracy=study.search.accuracy, home=home.root, afresh=afresh)
            with pytest.raises(ConfigError, match="is running it"), home.driver("cheap"):
                pass  # a sweep of the study would write the same runs

        def finish(self, records, report):
            given.update(trials=len(records.trials), report=report)
            self.problem = given["problem"]

        def close(self):
            given["closed"] = True

    monkeypatch.setattr("sweeper.tracking.mlflow_tracker.Tracker", Tracker)
    monkeypatch.setattr("sweeper.tracking.mlflow_address.check_reachable", lambda uri: given.update(uri=uri))
    monkeypatch.setattr("sweeper.storage.databases.check_tracking", lambda *uris: given.update(checked=uris))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ann:secret@runs.example/")
    return given


@pytest.mark.parametrize("rebuild", [False, True])
def test_log_writes_what_there_is_and_names_no_secret(command, filled, mlflow, rebuild):
    found = command("log", "cheap", *(["--rebuild"] if rebuild else []))
    assert found.exit_code == 0, found.output
    assert found.stdout == "MLflow at https://ann:***@runs.example/ has 2 trials of 'cheap'\n"
    told = {"study": "cheap", "home": filled.root, "trials": 2, "report": None, "afresh": rebuild}
    assert mlflow.items() >= told.items() and mlflow["closed"]
    assert mlflow["accuracy"] == "validation"  # as the study began, though its file leaves it open
    assert mlflow["uri"] == "https://ann:secret@runs.example/"
    assert mlflow["checked"] == (mlflow["uri"], filled.storage)
    filled.report("cheap").write_text("")
    assert command("log", "cheap").exit_code == 0 and mlflow["report"] == filled.report("cheap")


def test_log_fails_where_mlflow_did_and_names_a_study_that_is_not_there(command, mlflow):
    mlflow["problem"] = "MLflow failed"
    found = command("log", "cheap")
    assert found.exit_code == 1 and found.stdout == "" and mlflow["closed"]
    assert found.stderr == "error: MLflow failed\n"
    wrong = command("log", "cheep")
    assert wrong.exit_code == 2 and "did you mean 'cheap'?" in wrong.stderr
