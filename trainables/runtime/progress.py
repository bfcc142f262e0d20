"""Reports of progress by long work: one callable, called often and cheaply."""

from typing import Protocol


class Report(Protocol):
    """``report(stage, done, total, **metrics)``: `done` of `total` units of `stage` are finished.

    `metrics` are plain floats of this unit (an epoch's accuracy, a loss). Called from one thread.
    """

    def __call__(self, stage: str, done: int, total: int, **metrics: float) -> None: ...


def silent(stage: str, done: int, total: int, **metrics: float) -> None:
    """Report nothing."""
