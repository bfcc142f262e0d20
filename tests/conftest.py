"""Processes of a run share the cores, and no test leaves anything in the checkout.

Neither this process does nor, at the top, one that it starts.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported, which starts a thread for each core
    SHARE = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, SHARE)))

ROOT = Path(__file__).resolve().parents[1]
INSIDE = f"{ROOT}{os.sep}"
OURS = ("__pycache__", ".venv", "uv.lock")  # of Python and uv; names with a dot are caches of tools
MADE: set[str] = set()  # paths in the checkout that this process made, and nobody has looked at yet

# audit event -> which of its arguments is the path that it makes
MAKES = {"os.mkdir": 0, "sqlite3.connect": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1}


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    """Note a path in the checkout that is about to be made; Python calls this before it opens or makes it."""
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
            return
    elif event in MAKES:
        path = arguments[MAKES[event]]
    else:
        return
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    full = os.path.abspath(os.fsdecode(path))
    if full.startswith(INSIDE) and not _a_cache(full) and not os.path.lexists(full):
        MADE.add(full)


def _a_cache(path: str) -> bool:
    return any(part in OURS or part.startswith(".") for part in path[len(INSIDE) :].split(os.sep))


sys.addaudithook(_note)


@pytest.fixture(autouse=True)
def nothing_is_left_in_the_checkout() -> Iterator[None]:
    """Fail a test whose process left a file or folder in the checkout. Other processes do not matter."""
    yield
    left = sorted(path for path in MADE if os.path.lexists(path))
    MADE.clear()
    assert not left, f"the test left {', '.join(left)} in the checkout; let it write below tmp_path"


def _top() -> set[str]:
    return {name for name in os.listdir(ROOT) if not _a_cache(INSIDE + name)}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note what lies at the top of the checkout."""
    session.config.stash[TOP] = _top()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a session that ends with more at the top of the checkout: programs that tests start run there."""
    left = sorted(_top() - session.config.stash[TOP])
    if left and not hasattr(session.config, "workerinput"):  # of several processes, the one that leads them
        print(f"\nthe tests left {', '.join(left)} in {ROOT}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


TOP = pytest.StashKey[set[str]]()
