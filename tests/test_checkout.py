"""The guard of the checkout: a test that leaves something there fails, and no other."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GUARD = Path(__file__).parent / "conftest.py"
LEAVES = {
    "a file": "open('left.txt', 'w').close()",
    "a folder": "import os; os.makedirs('mlruns/1')",
    "a database": "import sqlite3; sqlite3.connect('left.db').execute('create table t (x)')",
    "what it renamed": "import os; open(tmp_path / 'x', 'w').close(); os.replace(tmp_path / 'x', 'left')",
    "what a program left": "import os; os.system('touch left')",
}
CLEAN = {
    "nothing": "pass",
    "a file elsewhere": "(tmp_path / 'x').write_text('')",
    "a file that it removed": "import os; open('gone', 'w').close(); os.remove('gone')",
    "a cache": "import os; os.makedirs('.cache/x'); os.makedirs('__pycache__')",
    "what was there": "open('there.txt', 'w').write('new')",
}


def run(tmp_path, line, *options):
    checkout = tmp_path / "checkout"
    (checkout / "tests").mkdir(parents=True)
    shutil.copy(GUARD, checkout / "tests")
    (checkout / "there.txt").write_text("old")
    (checkout / "tests" / "test_it.py").write_text(f"def test_it(tmp_path):\n    {line}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("what", LEAVES)
def test_what_leaves_something_fails(what, tmp_path):
    done = run(tmp_path, LEAVES[what])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "left" in done.stdout + done.stderr


@pytest.mark.parametrize("what", CLEAN)
def test_what_leaves_nothing_passes(what, tmp_path):
    done = run(tmp_path, CLEAN[what])
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_another_process_makes_below_the_top_is_not_this_ones(tmp_path):
    """Several may run in one checkout at once, and a person may write there meanwhile."""
    assert run(tmp_path, "import os; os.system('touch tests/theirs')").returncode == 0
