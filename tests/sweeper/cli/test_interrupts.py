"""Whatever is stopped says what is kept and how to go on, and exits with the code of the signal."""

import errno
import importlib
import os
import pkgutil
import pty
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from processes import default_signals

import sweeper
from sweeper.cli.app import main

TERM, HUP = 128 + signal.SIGTERM, 128 + signal.SIGHUP


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported():
    """Import all modules, so that none takes over what is patched here for a moment."""
    for module in pkgutil.walk_packages(sweeper.__path__, "sweeper."):
        if module.name != "sweeper.__main__":
            importlib.import_module(module.name)


@pytest.fixture(autouse=True)
def default_handlers():
    """Give the default handlers to the test, whatever this process inherited, and check that they stay."""
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {signum: signal.signal(signum, handler) for signum, handler in defaults.items()}
    yield
    assert {signum: signal.getsignal(signum) for signum in defaults} == defaults
    for signum, handler in before.items():
        signal.signal(signum, handler)


def interrupted(monkeypatch, function, signum, *words):
    """Run the command `words`, whose `function` (module.name) is sent `signum` while it works."""

    def stop(*args, **kwargs):
        os.kill(os.getpid(), signum)
        time.sleep(60)

    monkeypatch.setattr(function, stop)
    return CliRunner().invoke(main, [*words])


COMMANDS = [
    (
        "sweeper.cli.attack.attack",
        ["attack", "model.pt", "--attack", "gmi:cpu"],
        "unfinished attack are kept. Go on",
    ),
    (
        "sweeper.cli.convert.prepare_stylegan2",
        ["prepare", "stylegan2", "a b.pkl", "-o", "x"],
        "nothing was changed.",
    ),
    (
        "sweeper.results.comparing.compare.compare",
        ["compare", "cheap", "other"],
        "nothing was changed. Start again",
    ),
    (
        "sweeper.results.records.study_records",
        ["front", "cheap", "-f", "csv"],
        "nothing was changed. Start again",
    ),
    (
        "sweeper.engine.analyze.analyze",
        ["analyze", "evaluator_confidence", "cheap"],
        "analyses and trials are kept. Go on",
    ),
    ("sweeper.engine.sweep.sweep", ["run", "quickstart", "--trials", "3"], "finished trials are kept. Go on"),
    ("sweeper.study.loading.load_study", ["run", "quickstart"], "finished trials are kept. Go on"),
    (
        "sweeper.study.loading.load_study",
        ["run", "quickstart", "--dry-run"],
        "nothing was changed. Start again",
    ),
    (
        "sweeper.engine.confirm.confirm",
        ["confirm", "cheap", "--seeds", "2"],
        "finished trials are kept. Go on",
    ),
    ("sweeper.tracking.mlflow_address.check_reachable", ["log", "cheap"], "what MLflow has stays. Go on"),
]


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, TERM), (signal.SIGHUP, HUP)]
)
@pytest.mark.parametrize(
    ("function", "words", "kept"), COMMANDS, ids=[c[1][0] + str(n) for n, c in enumerate(COMMANDS)]
)
def test_a_stopped_command_says_how_to_go_on(function, words, kept, signum, code, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPER_HOME", raising=False)
    for name in ("check_exists", "study_records"):
        if not function.endswith(name):
            monkeypatch.setattr(
                f"sweeper.results.records.{name}", lambda *a, **k: {"study": "cheap", "trials": []}
            )
    monkeypatch.setattr("sweeper.results.comparing.comparison.load", lambda *a, **k: [])
    monkeypatch.setattr("sweeper.study.loading.stored_study", lambda *a: None)
    done = interrupted(monkeypatch, function, signum, *words)
    assert done.exit_code == code, (done.output, done.exception)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("stopped; ")]
    assert kept in line
    assert line.endswith("sweeper " + " ".join(f"'{w}'" if " " in w else w for w in words))


def test_signals_that_are_ignored_stay_so_as_under_nohup(monkeypatch):
    calls = []

    def rows(what):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGINT)
        calls.append(what)
        return []

    monkeypatch.setattr("sweeper.cli.registry.rows", rows)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = CliRunner().invoke(main, ["list", "attacks", "-f", "json"])
    finally:
        signal.signal(signal.SIGHUP, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert done.exit_code == 0 and calls == ["attacks"]


WAITING = """
import time
import sweeper.cli.registry
from sweeper.cli.app import main
def rows(what):
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
        print("working", flush=True)
sweeper.cli.registry.rows = rows
main(["list", "attacks"])
"""


def test_a_terminal_that_closes_ends_the_command_without_a_word():
    leader, follower = pty.openpty()

    def start():
        os.setsid()
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        default_signals()

    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], stdin=follower, stdout=follower, stderr=follower, preexec_fn=start
    )
    os.close(follower)
    seen = b""
    while b"ready" not in seen:
        try:
            seen += os.read(leader, 1000)
        except OSError as error:
            assert error.errno != errno.EIO, seen
    os.close(leader)
    assert process.wait(timeout=60) == HUP, seen


HANGING = """
import hashlib, sys
from contextlib import nullcontext
import sweeper.engine.interrupt, sweeper.engine.signals
from sweeper.engine.interrupt import Stopping, stoppable
for module in (sweeper.engine.interrupt, sweeper.engine.signals):
    module.END_SECONDS = 0.3
sweeper.engine.interrupt.GRACE_SECONDS = 0.2
import sweeper.cli.registry
from sweeper.cli.app import main
def rows(what):
    with {how}:
        try:
            print("ready", flush=True)
            sys.stdin.readline()
        finally:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # an hour in C, deaf to exceptions
sweeper.cli.registry.rows = rows
main(["list", "attacks"])
"""


@pytest.mark.parametrize(
    ("how", "signum"),
    [
        ("nullcontext()", signal.SIGTERM),  # Ctrl-C is Python's own there, and Ray's processes do not get it
        ("stoppable(Stopping(lambda: None))", signal.SIGINT),
        ("stoppable(Stopping(lambda: None))", signal.SIGTERM),
        ("stoppable(Stopping(lambda: None))", signal.SIGHUP),
    ],
)
def test_a_program_that_hangs_after_a_signal_ends_with_its_sentence_and_code(how, signum):
    """As a driver does whose Ray got the signal too: it waits in C++."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING.replace("{how}", how)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default_signals,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signum)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signum
    assert error == "stopped; nothing was changed. Start again with: sweeper list attacks\n"
