"""Optuna and MLflow on a real PostgreSQL server, which these tests start for themselves."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
import sqlalchemy as sql
from processes import at_once

from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import open_storage, stored_trials
from sweeper.storage.databases import check_tracking
from sweeper.storage.lease import Lease
from sweeper.tracking.mlflow_tracker import Tracker
from trainables.errors import ConfigError, TrialError


def program(name):
    """Return the path of one of PostgreSQL's programs, which Debian keeps out of the way, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[4]))
    return shutil.which(name) or (str(debian[-1]) if debian else None)


class Server:
    """A PostgreSQL server in a folder, at a port of 127.0.0.1. Root has to lend it another user."""

    def __init__(self, folder):
        self.folder, self.user = folder, "postgres" if os.geteuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if self.user:
            shutil.chown(folder, self.user)
        self._call(
            "initdb", "-D", str(folder / "data"), "-U", "sweeper", "-E", "UTF8", "--auth=trust", "--no-sync"
        )
        self.start()

    def _call(self, name, *arguments):
        environment = {**os.environ, "LC_ALL": "C"}
        subprocess.run(
            [program(name), *arguments],
            user=self.user,
            env=environment,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=300,
        )

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        log = str(self.folder / "log")
        self._call(
            "pg_ctl", "start", "-w", "-t", "240", "-D", str(self.folder / "data"), "-l", log, "-o", options
        )

    def stop(self):
        self._call("pg_ctl", "stop", "-w", "-t", "240", "-m", "immediate", "-D", str(self.folder / "data"))

    def url(self, database):
        return f"postgresql+psycopg://sweeper@127.0.0.1:{self.port}/{database}"

    def create(self, database):
        engine = sql.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sql.text(f"CREATE DATABASE {database}"))
        engine.dispose()
        return self.url(database)


@pytest.fixture(scope="module")
def server():
    if program("initdb") is None or program("pg_ctl") is None:
        pytest.skip("no PostgreSQL here (initdb, pg_ctl)")
    pytest.importorskip("psycopg")
    # Not below pytest's own folder, which it closes to other users each time that it starts.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        found = Server(Path(folder))
        yield found
        found.stop()


@pytest.fixture
def studies(server, home, monkeypatch, request):
    name = f"studies_{abs(hash(request.node.name)) % 10**8}"
    monkeypatch.setenv("OPTUNA_STORAGE", server.create(name))
    return home.storage


def fill(book, result, count):
    for _ in range(count):
        asked = book.ask()
        book.tell(asked.number, result(asked.assignment["x"]) | {"params": asked.assignment})


def test_a_new_database_is_opened_by_several_at_the_same_moment(server):
    for name in ("one", "two", "three"):
        assert at_once(3, open_storage, server.create(name)) == [""] * 3


def test_a_study_and_its_runs_in_mlflow(server, home, studies, cheap, result, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.create("tracking"))
    check_tracking(home.tracking, studies)
    study = cheap()
    with home.driver("cheap") as check:
        fill(OptunaStudy(study, studies, home.study("cheap") / "history"), result, 3)
        check()
    fill(OptunaStudy(study, studies, home.study("cheap") / "history"), result, 3)
    records = study_records(home, "cheap")
    assert [trial.state for trial in records.trials] == ["complete"] * 6
    tracker = Tracker(study, home)
    tracker.finish(records, None)
    assert tracker.problem == ""

    client = MlflowClient(home.tracking)
    experiment = client.get_experiment_by_name("sweeper").experiment_id
    runs = client.search_runs([experiment], "tags.kind = 'trial'")
    by_number = {int(run.data.tags["trial.number"]): run for run in runs}
    assert sorted(by_number) == list(range(6))
    for trial in records.trials:
        run = by_number[trial.number]
        assert run.info.status == "FINISHED"
        assert run.data.metrics["test_accuracy"] == pytest.approx(trial.values["test_accuracy"])
        assert float(run.data.params["x"]) == pytest.approx(trial.params["x"])


def test_the_server_may_restart_between_trials(server, home, studies, cheap, result):
    book = OptunaStudy(cheap(), studies, home.study("cheap") / "history")
    fill(book, result, 2)
    server.stop()
    with pytest.raises(ConfigError, match="expected a database for the study"):
        book.ask()
    server.start()
    fill(book, result, 4)
    assert book.finished
    _, trials = stored_trials(studies, "cheap")
    assert [t["state"] for t in trials if t["state"] == "complete"] == ["complete"] * 6


def test_a_holder_cut_off_from_its_database_stops_itself(server, studies, monkeypatch):
    from sweeper.storage import lease

    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.1)
    with Lease(studies, "s", token="a", holder="a") as held:
        server.stop()
        held.check()  # for a while it may be a restart
        held._renewed = tuple(moment - lease.STALE_SECONDS for moment in held._renewed)
        with pytest.raises(TrialError, match="the lease on study 's' was lost"):
            held.check()
        server.start()


DRIVER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path

    from sweeper.storage.home import Home
    from sweeper.search.optuna_study import OptunaStudy
    from sweeper.study.loading import parse_study
    from trainables.errors import ConfigError

    home, log = Home(Path(sys.argv[1])), Path(sys.argv[2])
    study = parse_study(
        {"name": "both", "trial": {}, "space": [{"x": {"float": [0, 1]}}], "search": {"trials": 24},
         "tracking": {"mlflow": False}},
        "test",
    )
    refused = 0
    while True:
        try:
            with home.driver("both") as check:
                book = OptunaStudy(study, home.storage, home.study("both") / "history")
                for _ in range(4):
                    check()
                    asked = book.ask()
                    if asked is None:
                        print(refused)
                        sys.exit()
                    with log.open("a") as file:
                        file.write(f"{asked.number} {asked.assignment['x']!r} {home.root.name}\\n")
                    time.sleep(0.05)
                    x = asked.assignment["x"]
                    book.tell(asked.number, {"values": {"test_accuracy": x, "attack_accuracy": x},
                        "metrics": {"validation_accuracy": x}})
        except ConfigError as error:
            assert "is running it" in str(error), error
            refused += 1
        time.sleep(0.2)
    """
)


def test_two_drivers_at_once_take_turns_and_repeat_nothing(tmp_path, studies):
    script, log = tmp_path / "driver.py", tmp_path / "log"
    script.write_text(DRIVER)
    environment = {**os.environ, "OPTUNA_STORAGE": studies}
    drivers = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / name), str(log)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    refused = [int(driver.communicate(timeout=500)[0]) for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0]
    lines = [line.split() for line in log.read_text().splitlines()]
    assert sorted(int(number) for number, _, _ in lines) == list(range(24))
    assert len({x for _, x, _ in lines}) == 24
    assert sum(refused) > 0
    _, trials = stored_trials(studies, "both")
    assert [t["state"] for t in trials] == ["complete"] * 24


def test_one_database_for_both_is_refused(server, studies, monkeypatch):
    with pytest.raises(ConfigError, match="expected two databases"):
        check_tracking(server.url(studies.rpartition("/")[2]) + "?application_name=mlflow", studies)


def test_what_is_wrong_with_a_database_is_named_within_seconds(server, home, cheap, monkeypatch):
    began = time.monotonic()
    with pytest.raises(
        ConfigError, match=r'expected a database for MLflow at .*database "nowhere" does not exist'
    ):
        check_tracking(server.url("nowhere"), home.storage)
    with pytest.raises(ConfigError, match=r'expected a database for the study at .*"nowhere" does not exist'):
        OptunaStudy(cheap(), server.url("nowhere"), home.study("cheap") / "history")
    monkeypatch.setenv("OPTUNA_STORAGE", server.url("nowhere"))
    with pytest.raises(ConfigError, match=r'"nowhere" does not exist'):
        home.driver("cheap").__enter__()
    assert time.monotonic() - began < 15
