import errno
import os
import sys
import threading

import pytest
import torch

from trainables.errors import ConfigError, DiskError, TrialError
from trainables.runtime.background import BackgroundJob, cause_of, set_niceness


class Panic(BaseException):
    """As a library in Rust raises it, which is no `Exception`."""


def test_progress_and_result_are_seen_from_outside():
    background, go = BackgroundJob(), threading.Event()

    def work(report):
        report("target", 3, 10, loss=1.0)
        assert go.wait(10)
        return {"x": 1}

    background.start(work)
    while not background.poll(0.01).stage:
        pass
    status = background.poll()
    assert (status.state, status.stage, status.done, status.total) == ("running", "target", 3, 10)
    with pytest.raises(RuntimeError, match="must end"):
        background.start(work)
    go.set()
    assert background.poll(10).result == {"x": 1}
    background.start(lambda report: {"x": 2})  # the next piece of work, in the same process
    assert background.poll(10).result == {"x": 2}


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [
        (ConfigError("bad folder"), "config", "bad folder"),
        (TrialError("the loss is not finite"), "trial", "the loss is not finite"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "memory", "out of memory: CUDA"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), "memory", "smaller batch_size"),
        (MemoryError(), "memory", "out of memory"),
        (DiskError(errno.ENOSPC, "full"), "disk", "full"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk", "No space left"),
        (KeyError("k"), "bug", "KeyError: 'k'"),
        (SystemExit("the library gives up"), "bug", "SystemExit: the library gives up"),
        (Panic("index out of bounds"), "bug", "Panic: index out of bounds"),
    ],
)
def test_every_failure_has_a_cause_and_a_reason(error, cause, words):
    def work(report):
        raise error

    background = BackgroundJob()
    background.start(work)
    status = background.poll(10)
    assert (status.state, status.cause) == ("failed", cause)
    assert words in status.reason and "\n" not in status.reason
    assert "Traceback" in status.trace
    assert cause_of(error) == cause


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads have a niceness on Linux alone")
def test_work_is_as_nice_as_asked_and_nothing_else_of_the_process():
    before = os.getpriority(os.PRIO_PROCESS, 0)
    niceness = min(19, before + 3)
    job = BackgroundJob(niceness=niceness)
    job.start(lambda report: {"niceness": os.getpriority(os.PRIO_PROCESS, 0)})
    assert job.poll(10).result == {"niceness": niceness}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_a_niceness_without_rights_or_system_is_left(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "setpriority", refuse)
    set_niceness(0)
    monkeypatch.delattr(os, "setpriority")
    set_niceness(0)
