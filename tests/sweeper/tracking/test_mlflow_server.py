"""The server that `sweeper ui` runs: where it listens, what it reads, that it calls nobody, how it ends."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from sweeper.tracking.mlflow_server import serve
from sweeper.tracking.mlflow_tracker import VIEW
from trainables.errors import ConfigError

SWITCHES = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@pytest.fixture
def started(monkeypatch) -> list[tuple[str, list[str], dict[str, str]]]:
    """Return what would have been started: program, arguments, and the switches it would see."""
    calls = []
    for name in SWITCHES:
        monkeypatch.setenv(name, "unset")  # so that monkeypatch puts the environment back

    class Server:
        def __init__(self, arguments, *, start_new_session):
            assert start_new_session  # else Ctrl-C would reach it too
            calls.append((arguments[0], arguments, {name: os.environ[name] for name in SWITCHES}))

        def wait(self):
            return 3

        def poll(self):
            return 3

    monkeypatch.setattr(subprocess, "Popen", Server)
    return calls


@pytest.mark.parametrize(("heeds", "code"), [(True, -signal.SIGTERM), (False, -signal.SIGKILL)])
def test_an_interruption_ends_the_server_even_one_that_does_not_heed(home, monkeypatch, heeds, code):
    (home.root / "mlflow.db").touch()
    monkeypatch.setattr("sweeper.tracking.mlflow_server.STOP_SECONDS", 2.0)
    ignoring = "import signal, time; print(flush=True); time.sleep(60)"
    if not heeds:
        ignoring = ignoring.replace("time;", "time; signal.signal(signal.SIGTERM, signal.SIG_IGN);")
    real, servers = subprocess.Popen, []

    class Interrupted(real):
        def __init__(self, arguments, **options):
            super().__init__([sys.executable, "-c", ignoring], stdout=subprocess.PIPE, **options)
            self.stdout.readline()  # it runs
            servers.append(self)

        def wait(self, timeout=None):
            if timeout is None and len(servers) == 1 and self.returncode is None and not self.told:
                self.told = True
                raise KeyboardInterrupt
            return super().wait(timeout)

        told = False

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        serve(home, 5123)
    (server,) = servers
    server.stdout.close()
    assert server.returncode == code


def options(arguments: list[str]) -> dict[str, str]:
    """Return option -> value of ``python -m mlflow server --option value ...``."""
    rest = arguments[4:]
    return dict(zip(rest[::2], rest[1::2], strict=True))


def test_serves_the_homes_records_on_this_machine_only(home, started, capsys):
    (home.root / "mlflow.db").touch()
    assert serve(home, 5123) == 3
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
    monkeypatch.setattr("sweeper.tracking.mlflow_server.check_tracking", lambda tracking, storage: None)
    uri = "postgresql://me:s3cret@127.0.0.1/runs"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    serve(home, 5000)
    assert "s3cret" not in " ".join(started[0][1]) and os.environ["MLFLOW_BACKEND_STORE_URI"] == uri


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (None, "expected MLflow's records at sqlite:///.*mlflow.db, found none; run a study there first"),
        ("sqlite:////nowhere/mlflow.db", "expected MLflow's records at sqlite:////nowhere/mlflow.db"),
        ("http://127.0.0.1:9", "expected an MLflow server at http://127.0.0.1:9, got: .*refused"),
        ("http://", "names no host"),
        ("nonsense://x", "or a database .* got nonsense://x"),
        ("sqlite:///{home}/text", "expected a database of SQLite"),
    ],
)
def test_nothing_to_serve_starts_nothing(home, started, monkeypatch, uri, message):
    (home.root / "text").write_text("no database " * 100)
    if uri:
        uri = uri.format(home=home.root)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=message):
        serve(home, 5000)
    assert started == []


def test_a_server_that_answers_is_named_and_none_started(home, started, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    monkeypatch.setattr("sweeper.tracking.mlflow_server.check_reachable", lambda uri: None)
    with pytest.raises(ConfigError, match="is a server already: open http://tracking:5000 in a browser"):
        serve(home, 5000)
    assert started == []
