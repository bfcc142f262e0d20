"""What breaks around a sweep: unreachable servers, changed study files, kills at random, Ctrl-C."""

import contextlib
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from processes import default_signals

import sweeper.engine.sweep
import sweeper.tracking.mlflow_tracker  # now, so that what loading takes counts for no command
from sweeper.cli.app import main
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import stored_trials
from sweeper.study.loading import load_study
from sweeper.tracking.mlflow_tracker import EXPERIMENT
from trainables.errors import ConfigError

PRESET = Path(sweeper.__file__).parent / "study" / "presets" / "quickstart.yaml"
WAITS = (
    "sweeper.storage.databases.CONNECT_SECONDS",
    "sweeper.engine.machines.cluster.REACH_SECONDS",
    "sweeper.tracking.mlflow_address.REACH_SECONDS",
)
# Seconds until a person must know; of these the waits take ten. What a busy machine adds does not count.
SOON = 60 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
KILLS = 20


@pytest.fixture
def command(home, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    for wait in WAITS:  # shorter, so that what a busy machine adds does not count
        monkeypatch.setattr(wait, 2)

    def call(*arguments, **environment):
        return CliRunner().invoke(
            main, [*map(str, arguments)], env={"SWEEPER_HOME": str(home.root), **environment}
        )

    return call


@pytest.fixture
def study_file(tmp_path):
    def make(**changes):
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(PRESET.read_text()) | {"name": "mine"} | changes))
        return path

    return make


@contextlib.contextmanager
def listening(answer=None):
    """Yield the port of a server that answers every connection with these bytes, or never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    wire, _ = server.accept()
                    kept.append(wire)
                    if answer is not None:
                        wire.recv(1)
                        wire.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for wire in kept:
            wire.close()


@pytest.fixture
def closed():
    """Return a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def silent():
    with listening() as port:
        yield port


def files(home):
    """Return what a home holds, without the lock that stays beside a study."""
    return {
        (str(path.relative_to(home.root)), path.stat().st_mtime_ns)
        for path in home.root.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def refused(call, *arguments, **environment):
    """Return the one error of a command that must end soon with exit code 2."""
    began = time.monotonic()
    found = call(*arguments, **environment)
    assert time.monotonic() - began < SOON
    assert found.exit_code == 2, found.output
    errors = [line for line in found.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "Traceback" not in found.output
    return errors[0]


def test_waits_leave_time_to_speak():
    from sweeper.engine.machines import cluster
    from sweeper.storage import databases
    from sweeper.tracking import mlflow_address as tracking

    assert max(databases.CONNECT_SECONDS, cluster.REACH_SECONDS, tracking.REACH_SECONDS) <= 10


def test_an_unreachable_database_is_named_with_its_reason_and_without_its_password(
    command, study_file, home, closed, silent
):
    pytest.importorskip("psycopg")
    before = files(home)
    for port, reason in ((closed, "refused"), (silent, "timeout")):
        url = f"postgresql+psycopg://someone:secret@127.0.0.1:{port}/studies"
        for words in (["run", study_file()], ["front", "mine"]):
            said = refused(command, *words, OPTUNA_STORAGE=url)
            assert f"postgresql+psycopg://someone:***@127.0.0.1:{port}/studies" in said
            assert reason in said and "secret" not in said
    assert files(home) == before


def test_a_database_without_its_driver_and_one_that_is_none(command, study_file, home):
    before = files(home)
    said = refused(command, "run", study_file(), OPTUNA_STORAGE="nonsense://x")
    assert "expected a database for the study at nonsense://x" in said
    (home.root / "text").write_text("no database " * 1000)
    said = refused(command, "front", "mine", OPTUNA_STORAGE=f"sqlite:///{home.root / 'text'}")
    assert "file is not a database" in said
    (home.root / "text").unlink()
    assert files(home) == before


def test_an_unreachable_tracking_server_is_named_with_its_reason(command, study_file, home, closed, silent):
    before = files(home)
    for uri, reason in (
        (f"http://127.0.0.1:{closed}", "refused"),
        (f"http://127.0.0.1:{silent}", "timed out"),
        (f"postgresql+psycopg://someone@127.0.0.1:{closed}/runs", "refused"),
        (f"postgresql+psycopg://someone@127.0.0.1:{silent}/runs", "timeout"),
    ):
        if uri.startswith("postgresql"):
            pytest.importorskip("psycopg")
        said = refused(command, "run", study_file(), MLFLOW_TRACKING_URI=uri)
        assert uri.partition("/runs")[0].rpartition("/")[2].rpartition("@")[2] in said and reason in said
    assert files(home) == before


def test_an_unreachable_cluster_is_named_with_its_reason(command, study_file, home, closed, silent):
    before = files(home)
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as dashboard:
        for address, reason in (
            (f"127.0.0.1:{closed}", "refused"),
            (f"127.0.0.1:{silent}", "timed out"),
            (f"127.0.0.1:{dashboard}", "something answers there that is not Ray"),
        ):
            said = refused(command, "run", study_file(), "--address", address)
            assert f"expected a Ray cluster at {address}, got: " in said and reason in said
        said = refused(command, "run", study_file(), RAY_ADDRESS=f"127.0.0.1:{closed}")
        assert "RAY_ADDRESS" in said
        said = refused(command, "run", study_file(), "--address", f"ray://127.0.0.1:{closed}")
        assert "expected host:port or auto" in said
    assert files(home) == before


def test_a_study_that_is_not_there(command, home, study_file):
    OptunaStudy(load_study(str(study_file())), home.storage, home.study("mine") / "history")
    before = files(home)
    for words in (["front", "mien"], ["compare", "mine", "mien"], ["log", "mien"]):
        assert "did you mean 'mine'?" in refused(command, *words)
    assert files(home) == before


def test_a_study_file_that_no_longer_matches_names_the_keys(command, home, study_file):
    study = load_study(str(study_file()))
    OptunaStudy(study, home.storage, home.study("mine") / "history").ask()
    before = stored_trials(home.storage, "mine")
    rate = study.trial["target"]["learning_rate"]
    said = refused(command, "run", study_file(), "-S", "trial.target.learning_rate=0.5")
    assert f"trial.target.learning_rate: {rate!r} -> 0.5" in said
    assert stored_trials(home.storage, "mine") == before
    assert not home.study("mine").joinpath("study.yaml").exists()


def test_a_study_that_another_process_runs(command, home, study_file):
    held = f"process {os.getpid()} on {socket.gethostname()} is running it"
    with home.driver("mine"):
        before = files(home)
        assert held in refused(command, "run", study_file())
        assert files(home) == before
    OptunaStudy(load_study(str(study_file())), home.storage, home.study("mine") / "history")
    with home.driver("mine"):
        for words in (["log", "mine"], ["log", "mine", "--rebuild"]):
            assert held in refused(command, *words)
    assert not (home.root / "mlflow.db").exists()


DRIVER = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path

    from sweeper.storage.home import Home
    from sweeper.study.loading import parse_study
    from sweeper.engine.sweep import sweep

    root, address, trials = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

    def run(trial, *, store_root, device, report):
        x = trial["x"]
        (root / "starts" / f"{x!r} {os.getpid()} {time.time_ns()}").touch()
        time.sleep(0.5)
        history = root / "home" / "studies" / "killed" / "history"
        while len(list(history.glob("*.json"))) > int((root / "pace").read_text() or 0):
            time.sleep(0.1)
        return {"values": {"test_accuracy": x, "attack_accuracy": x * x},
            "metrics": {"validation_accuracy": x}}

    study = parse_study(
        {"name": "killed", "trial": {}, "space": [{"x": {"float": [0, 1]}}], "search": {"trials": trials}},
        "test",
    )
    sweep(study, Home(root / "home"), run=run, address=address, shared=False)
    """
)


def in_state(home, state):
    try:
        _, trials = stored_trials(home.storage, "killed")
    except (KeyError, ConfigError):  # the first driver has not come that far
        return {}
    return {trial["number"]: trial["params"].get("x") for trial in trials if trial["state"] == state}


def alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kills_at_random_lose_nothing_and_repeat_only_what_was_in_flight(tmp_path, home, ray_address):
    from mlflow import MlflowClient

    dice, wanted = random.Random(KILLS), 2 * KILLS
    (tmp_path / "starts").mkdir()
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), str(tmp_path), ray_address, str(wanted)]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    pace = tmp_path / "pace"
    in_flight, hit = Counter(), Counter()
    kills = Counter()
    driver = None

    def begun():
        return [path.name.split() for path in (tmp_path / "starts").iterdir()]

    try:
        for kill in range(KILLS):
            pace.write_text(str(kill * wanted // KILLS))  # so that all are not over before the last kill
            kind, workers = dice.choice(["driver", "worker"]), []
            while not workers:  # until some more trials have ended, and one that goes on is at work
                if driver is None or driver.poll() is not None:
                    assert driver is None, driver.returncode
                    driver = subprocess.Popen(command, env=environment, start_new_session=True)
                time.sleep(0.1)
                done = {repr(x) for x in in_state(home, "complete").values()}
                last = {pid: x for x, pid, _ in sorted(begun(), key=lambda start: int(start[2]))}
                if len(done) >= kill * wanted // KILLS:
                    workers = [
                        (x, int(pid))
                        for pid, x in last.items()
                        if x not in done and alive(int(pid)) and hit[x] < 2  # thrice, and it counts as failed
                    ]
            time.sleep(dice.uniform(0, 0.5))
            flying = {repr(x) for x in in_state(home, "running").values()}
            if kind == "worker":
                x, pid = dice.choice(workers)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                hit[x] += 1
            else:
                os.killpg(driver.pid, signal.SIGKILL)
                driver.wait()
                driver = None
                hit.clear()
            kills[kind] += 1
            flying |= {repr(x) for x in in_state(home, "running").values()}
            in_flight.update(flying)
        pace.write_text(str(wanted))
        if driver is not None:
            driver.wait(timeout=600)
        subprocess.run(command, env=environment, check=True, timeout=600)
    finally:
        if driver is not None and driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()

    assert kills.total() == KILLS and len(kills) == 2
    _, trials = stored_trials(home.storage, "killed")
    assert [trial["state"] for trial in trials] == ["complete"] * wanted
    assert len({trial["params"]["x"] for trial in trials}) == wanted
    starts = Counter(x for x, _, _ in begun())
    assert set(starts) == {repr(trial["params"]["x"]) for trial in trials}
    assert all(count <= 1 + in_flight[x] for x, count in starts.items())

    client = MlflowClient(home.tracking)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    runs = client.search_runs([experiment], "tags.kind = 'trial'", max_results=1000)
    written = {int(run.data.tags["trial.number"]): run for run in runs}
    assert len(runs) == len(written) == wanted
    for trial in trials:
        run = written[trial["number"]]
        assert run.info.status == "FINISHED"
        assert float(run.data.params["x"]) == trial["params"]["x"]
        assert [run.data.metrics[name] for name in ("test_accuracy", "attack_accuracy")] == trial["values"]
    parents = client.search_runs([experiment], "tags.kind = 'study'")
    assert [parent.info.status for parent in parents] == ["FINISHED"]


INTERRUPTED = textwrap.dedent(
    """
    import functools, os, sys, time
    from pathlib import Path

    import sweeper.engine.interrupt, sweeper.engine.sweep
    from sweeper.cli.app import main

    root, grace = Path(sys.argv[1]), float(sys.argv[2])

    def run(trial, *, store_root, device, report):
        which = trial["target"]["epochs"] - 1
        (root / "starts" / f"{which} {os.getpid()}").touch()
        report("target", 1, 2)
        time.sleep(2 if which < 2 or (root / "free").exists() else 3600)
        return {"values": {"test_accuracy": which / 10, "attack_accuracy": 0.5},
            "metrics": {"validation_accuracy": which / 10}}

    sweeper.engine.interrupt.GRACE_SECONDS = grace
    sweeper.engine.sweep.sweep = functools.partial(sweeper.engine.sweep.sweep, run=run, shared=False)
    main(sys.argv[3:])
    """
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "signum", "code"),
    [
        ("the grace is short", signal.SIGINT, 130),
        ("all end in it", signal.SIGINT, 130),
        ("interrupted again", signal.SIGINT, 130),
        ("all end in it", signal.SIGTERM, 143),
        ("the grace is short", signal.SIGHUP, 129),
    ],
)
def test_an_interrupt_lets_trials_end_for_a_moment_and_says_how_to_go_on(
    tmp_path, home, study_file, ray_address, case, signum, code
):
    (tmp_path / "starts").mkdir()
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    # Trials run at the interrupt that take an hour, and stay open; or all that run end, and nobody waits for
    # the rest of the grace.
    all_end, grace = case == "all end in it", 4 if case == "the grace is short" else 600
    values = [1, 2, 3, 4]
    if all_end:
        (tmp_path / "free").touch()
    path = study_file(
        space=[{"target.epochs": {"ordered": values}}],
        search={"sampler": "grid"},
        tracking={"mlflow": False},
        resources={"concurrent": 2, "cpus_per_trial": 1},
    )
    words = ["run", str(path), "--address", ray_address, "--home", str(home.root)]
    command = [sys.executable, str(script), str(tmp_path), str(grace), *words]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}

    def begun():
        return {int(p.name.split()[0]): int(p.name.split()[1]) for p in (tmp_path / "starts").iterdir()}

    log = tmp_path / "log"
    with log.open("w") as file:
        driver = subprocess.Popen(command, env=environment, stderr=file, preexec_fn=default_signals)
    while 2 not in begun():
        assert driver.poll() is None, log.read_text()
        time.sleep(0.05)
    driver.send_signal(signum)
    if case == "interrupted again":
        while "what runs gets" not in log.read_text():
            assert driver.poll() is None, log.read_text()
            time.sleep(0.05)
        driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=300) == code, log.read_text()  # sooner than the long grace
    said = log.read_text()
    assert "what runs gets" in said and "Traceback" not in said
    assert f"Go on with: sweeper {shlex.join(words)}" in said
    running = {a for a, pid in begun().items() if alive(pid)}
    deadline = time.monotonic() + 60
    while running and time.monotonic() < deadline:  # the cluster ends the workers of a driver that left
        running = {a for a, pid in begun().items() if alive(pid)}
        time.sleep(0.2)
    assert not running
    assert not (home.study("mine") / "driver.json").exists()

    _, trials = stored_trials(home.storage, "mine")
    states = {trial["params"]["target.epochs"]: trial["state"] for trial in trials}  # places in `values`
    open_trials = {a for a, state in states.items() if state == "running"}
    assert "failed" not in states.values()
    if all_end:
        assert not open_trials and set(begun()) == {a for a, s in states.items() if s == "complete"}
    else:
        assert open_trials and set(begun()) <= open_trials | {a for a, s in states.items() if s == "complete"}

    (tmp_path / "free").touch()
    subprocess.run(command, env=environment, check=True, timeout=300, stdout=subprocess.DEVNULL)
    _, trials = stored_trials(home.storage, "mine")
    assert [trial["state"] for trial in trials] == ["complete"] * len(values)
