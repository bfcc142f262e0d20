"""Niceness of Ray's workers: what a study asks for, and workers that start at 0 so that they can have it.

Linux lets a process become nicer, not less nice. Ray makes every worker 15 (``RAY_worker_niceness``), which
on a machine with other work means that it waits. So Ray is started here with workers at 0, and each trial
then takes its own niceness (`trainables.runtime.background.set_niceness`). On a cluster its machines decide:
they need ``RAY_worker_niceness=0`` in ``ray start``'s environment, or workers that may become less nice.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sweeper.study.study import Resources

VARIABLE = "RAY_worker_niceness"
LOCAL = 15  # Ray's own default: who shares this machine with a sweep goes first


def niceness(resources: Resources, address: str | None) -> int:
    """Return the niceness of a trial's processes: what the study asks for, else 0 on a cluster, else `LOCAL`.

    Where the user has set Ray's own variable, that is what ``auto`` means here.
    """
    if resources.niceness != "auto":
        return resources.niceness
    if address or os.environ.get("RAY_ADDRESS"):
        return 0
    setting = os.environ.get(VARIABLE, "")
    return int(setting) if setting.isdigit() else LOCAL


@contextmanager
def workers_start_at_zero() -> Iterator[None]:
    """Let a Ray that starts in here start its workers at niceness 0."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
