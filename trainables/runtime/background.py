"""One piece of work in a thread: ask where it stands, and get its result or the reason it has none."""

import errno
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from trainables.errors import ConfigError, DiskError, TrialError
from trainables.runtime.progress import Report

Work = Callable[[Report], dict[str, Any]]
Cause = Literal["config", "trial", "memory", "disk", "bug"]

_NO_MEMORY = ("not enough memory", "out of memory", "cannot allocate memory")


@dataclass(frozen=True)
class JobStatus:
    """Status of a piece of work.

    state: "running", "complete" (then `result` is set) or "failed" (then `reason` and `cause` are set).
    stage, done, total: what it last reported. seconds: spent in that stage so far.
    """

    state: Literal["running", "complete", "failed"]
    stage: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    result: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    cause: Cause | None = None
    trace: str = ""


def cause_of(error: BaseException) -> Cause:
    """Return what kind of failure `error` is; "bug" is everything that nobody foresaw."""
    if isinstance(error, ConfigError):
        return "config"
    if isinstance(error, DiskError) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return "disk"
    if isinstance(error, TrialError):
        return "trial"
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        return "memory"  # torch.OutOfMemoryError is a RuntimeError, and the CPU allocator raises a plain one
    return "bug"


def explain(error: BaseException) -> str:
    """Return the failure in one line."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    cause, text = cause_of(error), " ".join(str(reason).split())
    if cause == "memory":
        return f"out of memory: {text[:300]}; try a smaller batch_size, or fewer trials at once"
    if cause == "bug":
        return f"{type(error).__name__}: {text[:500]}"
    return text


def limit_threads(threads: int) -> None:
    """Limit torch in this process, whether it is loaded already or will be by the work."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def set_niceness(niceness: int) -> None:
    """Give this thread, and those that it starts, a niceness in [0, 19]; not on Linux: the process.

    To become less nice takes rights that few have; without them the niceness stays as it is.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    except (AttributeError, OSError):  # Windows has no niceness
        return


class BackgroundJob:
    """Runs ``work(report)`` in a thread of this process, one piece of work at a time.

    threads: intra-op threads that torch may use in this process; None leaves torch alone.
    niceness: of the work, see `set_niceness`; None leaves it as it is.
    """

    def __init__(self, threads: int | None = None, niceness: int | None = None) -> None:
        if threads is not None:
            limit_threads(threads)
        self._niceness = niceness
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._status = JobStatus("complete")
        self._stage_began = 0.0

    def start(self, work: Work) -> None:
        """Begin `work`; its progress and end are seen through `poll`."""
        if self._thread is not None and self._thread.is_alive():
            raise RuntimeError("the earlier work must end before new work starts")
        self._ended.clear()
        self._status = JobStatus("running")
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True, name="work")
        self._thread.start()

    def poll(self, seconds: float = 0.0) -> JobStatus:
        """Return where the work stands, after waiting up to `seconds` for it to end."""
        self._ended.wait(seconds)
        return self._status

    def _report(self, stage: str, done: int, total: int, **metrics: float) -> None:
        now = time.monotonic()
        if stage != self._status.stage or done <= self._status.done == self._status.total:
            self._stage_began = now
        self._status = JobStatus("running", stage, done, total, now - self._stage_began)

    def _run(self, work: Work) -> None:
        if self._niceness is not None:
            set_niceness(self._niceness)
        try:
            self._status = JobStatus("complete", result=work(self._report))
        except BaseException as error:  # a library's SystemExit too, or the thread would end unseen
            self._status = JobStatus(
                "failed", reason=explain(error), cause=cause_of(error), trace=traceback.format_exc(limit=-8)
            )
        finally:
            self._ended.set()
