"""The server that `sweeper ui` turns into: where it listens, what it reads, that it calls nobody."""

import os
import sqlite3
import sys
from contextlib import closing

import pytest

from sweeper.tracking.mlflow_server import serve
from sweeper.tracking.mlflow_tracker import VIEW
from trainables.errors import ConfigError

SWITCHES = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@pytest.fixture
def started(monkeypatch) -> list[tuple[str, list[str], dict[str, str]]]:
    """Return what would have replaced this process: program, arguments, and the switches it would see."""
    calls = []
    for name in SWITCHES:
        monkeypatch.setenv(name, "unset")  # so that monkeypatch puts the environment back

    def execv(program, arguments):
        calls.append((program, arguments, {name: os.environ[name] for name in SWITCHES}))

    monkeypatch.setattr(os, "execv", execv)
    return calls


def options(arguments: list[str]) -> dict[str, str]:
    """Return option -> value of ``python -m mlflow server --option value ...``."""
    rest = arguments[4:]
    return dict(zip(rest[::2], rest[1::2], strict=True))


def test_serves_the_homes_records_on_this_machine_only(home, started, capsys):
    (home.root / "mlflow.db").touch()
    serve(home, 5123)
    ((program, arguments, switches),) = started
    assert program == sys.executable
    assert arguments[:4] == [sys.executable, "-m", "mlflow", "server"]
    assert options(arguments) == {
        "--backend-store-uri": f"sqlite:///{home.root}/mlflow.db",
        "--default-artifact-root": f"file://{home.root}/mlartifacts",
        "--artifacts-destination": f"{home.root}/mlartifacts",
        "--host": "127.0.0.1",
        "--port": "5123",
        "--workers": "1",
    }
    assert switches == SWITCHES
    assert "http://127.0.0.1:5123" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "page"), [(VIEW, f"/#/experiments/7/runs?viewStateShareKey={VIEW}"), ("", "")]
)
def test_names_the_page_of_the_trials_where_mlflow_would_open_an_empty_one(home, started, capsys, key, page):
    with closing(sqlite3.connect(home.root / "mlflow.db")) as database:
        database.execute("CREATE TABLE experiments (experiment_id INTEGER, name TEXT)")
        database.execute("CREATE TABLE experiment_tags (experiment_id INTEGER, key TEXT)")
        database.execute("INSERT INTO experiments VALUES (7, 'sweeper'), (8, 'other')")
        database.execute(
            "INSERT INTO experiment_tags VALUES (8, 'mlflow.sharedViewState.trials'), (7, ?)",
            [f"mlflow.sharedViewState.{key}"],
        )
        database.commit()
    serve(home, 5123)
    assert f" http://127.0.0.1:5123{page} (" in capsys.readouterr().out


def test_another_database_is_served_as_it_is_named(home, started, monkeypatch, tmp_path):
    (tmp_path / "other.db").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    serve(home, 5000)
    assert options(started[0][1])["--backend-store-uri"] == f"sqlite:///{tmp_path}/other.db"


def test_a_password_is_not_among_the_words_that_every_user_of_the_machine_can_read(
    home, started, monkeypatch
):
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "unset")
    uri = "postgresql://me:s3cret@127.0.0.1/runs"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    serve(home, 5000)
    assert "s3cret" not in " ".join(started[0][1]) and os.environ["MLFLOW_BACKEND_STORE_URI"] == uri


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (None, "expected MLflow's records at sqlite:///.*mlflow.db, found none; run a study there first"),
        ("sqlite:////nowhere/mlflow.db", "expected MLflow's records at sqlite:////nowhere/mlflow.db"),
        ("http://tracking:5000", "is a server already: open http://tracking:5000 in a browser"),
    ],
)
def test_nothing_to_serve_starts_nothing(home, started, monkeypatch, uri, message):
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=message):
        serve(home, 5000)
    assert started == []
