import os
import subprocess
import sys
import textwrap

import pytest

from sweeper.engine.machines.niceness import LOCAL, VARIABLE, niceness, workers_start_at_zero


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in (VARIABLE, "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("setting", "address", "variables", "niceness_"),
    [
        ("auto", None, {}, LOCAL),
        ("auto", "auto", {}, 0),
        ("auto", None, {"RAY_ADDRESS": "10.0.0.1:6379"}, 0),
        ("auto", None, {VARIABLE: "4"}, 4),
        (7, None, {VARIABLE: "4"}, 7),
        (7, "auto", {}, 7),
        (0, None, {}, 0),
    ],
)
def test_the_study_decides_then_where_it_runs(cheap, monkeypatch, setting, address, variables, niceness_):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert niceness(cheap(resources={"niceness": setting}).resources, address) == niceness_


@pytest.mark.parametrize("wrong", [-1, 20, "low"])
def test_a_niceness_that_is_none_is_refused(cheap, wrong):
    from trainables.errors import ConfigError

    with pytest.raises(ConfigError, match=r"resources\.niceness"):
        cheap(resources={"niceness": wrong})


@pytest.mark.parametrize("before", [None, "9"])
def test_the_environment_is_as_it_was(monkeypatch, before):
    if before is not None:
        monkeypatch.setenv(VARIABLE, before)
    with workers_start_at_zero():
        assert os.environ[VARIABLE] == "0"
    assert os.environ.get(VARIABLE) == before


SWEEP = """
import os, sys
import sweeper
from pathlib import Path
from sweeper.engine.sweep import sweep
from sweeper.engine.confirm import confirm
from sweeper.storage.home import Home
from sweeper.study.loading import parse_study

def run(trial, *, store_root, device, report, **options):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    return {"values": {"test_accuracy": 0.5, "attack_accuracy": own / 100},
        "metrics": {"validation_accuracy": 0.5}, "interval": {},
            "seconds": {}, "warnings": [], "artifacts": {}, "history": {}, "trained_params": 1,
            "total_params": 1, "freeze_point": "none", "defense": "none"}

def make(trial, stage, **options):
    return {"made_now": True, "seconds": os.getpriority(os.PRIO_PROCESS, 0)}

class Told:
    def total(self, *_): pass
    def stage(self, *_): pass
    def say(self, text): pass
    def ended(self, who, text):
        if "ready" in text: print("shared", text)

study = parse_study({"name": "s", "trial": {}, "space": [{"x": {"float": [0, 1]}}], "search": {"trials": 1},
    "tracking": {"mlflow": False}, "resources": {"niceness": int(sys.argv[2]), "concurrent": 1}}, "s")
result = sweep(study, Home(Path(sys.argv[1])), run=run, make=make, display=Told())
print("trial", round(100 * result.records.trials[0].values["attack_accuracy"]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads have a niceness on Linux alone")
def test_trials_are_as_nice_as_the_study_says_and_shared_stages_are_not(tmp_path):
    """Beside this process's own niceness, below which nothing may go."""
    base = os.getpriority(os.PRIO_PROCESS, 0)
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SWEEP))
    asked = min(19, base + 6)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    output = subprocess.run(
        [sys.executable, script, tmp_path / "home", str(asked)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert output.returncode == 0, output.stderr[-2000:]
    lines = output.stdout.splitlines()
    shared = [line for line in lines if line.startswith("shared")]
    assert len(shared) == 3
    assert set(shared) <= {f"shared ready after {niceness} s" for niceness in (0, base)}
    assert f"trial {asked}" in lines
