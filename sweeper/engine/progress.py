"""Progress of a sweep on stderr: how far it is, what is running, how long it takes."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from sweeper.results.formatting import without_numbers
from trainables.runtime.duration import Duration

LINE_SECONDS = 15.0  # between two lines about the same stage where there is no terminal


class Display(Protocol):
    """Shows the sweep. Calls come from one thread."""

    def total(self, done: int, total: int, remaining: Duration | None) -> None:
        """Show that `done` of `total` trials are finished, and how long the rest may take if known."""
        ...

    def stage(self, who: str, stage: str, done: int, total: int, seconds: float) -> None:
        """Show that `who` has done `done` of `total` units of `stage` in `seconds`."""
        ...

    def ended(self, who: str, text: str) -> None:
        """Show that `who` ended, and how."""
        ...

    def say(self, text: str) -> None:
        """Show a line of text."""
        ...


def spell(seconds: float | None) -> str:
    """Return a duration for people: "8 s", "3 min 20 s", "2 h 05 min"."""
    if seconds is None:
        return ""
    rounded = max(0, round(seconds))
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} min"


def spell_range(duration: Duration) -> str:
    """Return a range of durations for people, to two digits: "4 to 6 min", "40 s to 1.5 min", "about 2 h"."""
    ends = [_rough(duration.low), _rough(duration.high)]
    (low, low_unit), (high, high_unit) = ends
    if ends[0] == ends[1]:
        return f"about {high} {high_unit}"
    if low == "0":
        return f"up to {high} {high_unit}"
    return (
        f"{low} to {high} {high_unit}" if low_unit == high_unit else f"{low} {low_unit} to {high} {high_unit}"
    )


def _rough(seconds: float) -> tuple[str, str]:
    """Return a duration as a number of two digits, halves below ten, and its unit."""
    if seconds < 59.5:
        return f"{seconds:.0f}", "s"
    value, unit = (seconds / 60, "min") if seconds < 90 * 60 else (seconds / 3600, "h")
    return (f"{round(value)}" if value >= 9.75 else f"{round(2 * value) / 2:g}"), unit


def left(done: int, total: int, seconds: float) -> float | None:
    """Return the seconds left if the rest goes as the part done went; None if nothing is done yet."""
    return seconds / done * (total - done) if 0 < done <= total and seconds > 0 else None


def _left(remaining: Duration | None) -> str:
    return f", {spell_range(remaining)} left" if remaining is not None and remaining.high else ""


class Bars:
    """Bars on a terminal: one for the sweep, one for each trial or shared stage that is running."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._overall: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}

    def total(self, done: int, total: int, remaining: Duration | None) -> None:
        note = f"{done} of {total}{_left(remaining)}"
        if self._overall is None:
            self._overall = self._progress.add_task("[bold]trials", total=total, note=note)
        self._progress.update(self._overall, completed=done, total=total, note=note)

    def stage(self, who: str, stage: str, done: int, total: int, seconds: float) -> None:
        remaining = left(done, total, seconds)
        note = f"{spell(remaining)} left" if remaining else ""
        label = f"{who}: {stage}" if stage and stage != who else who
        if who not in self._tasks:
            self._tasks[who] = self._progress.add_task(label, total=max(total, 1), note=note)
        self._progress.update(
            self._tasks[who], description=label, completed=done, total=max(total, 1), note=note
        )

    def ended(self, who: str, text: str) -> None:
        if who in self._tasks:
            self._progress.remove_task(self._tasks.pop(who))
        self._progress.console.print(f"{who}: {text}", highlight=False, markup=False)

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False)


class Lines:
    """Plain lines where stderr is no terminal: when a stage begins, every now and then, and at each end."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[str, float]] = {}
        self._total: tuple[int, float] | None = None

    def total(self, done: int, total: int, remaining: Duration | None) -> None:
        now = time.monotonic()
        if self._total is not None and self._total[0] == done and now - self._total[1] < LINE_SECONDS:
            return
        self._total = done, now
        self.say(f"{done} of {total} trials{_left(remaining)}")

    def stage(self, who: str, stage: str, done: int, total: int, seconds: float) -> None:
        now = time.monotonic()
        before, when = self._shown.get(who, ("", 0.0))
        if not total or (before == stage and now - when < LINE_SECONDS):
            return
        self._shown[who] = (stage, now)
        remaining = left(done, total, seconds)
        label = f"{who}: {stage}" if stage and stage != who else who
        self.say(f"{label} {100 * done // total} %" + (f", {spell(remaining)} left" if remaining else ""))

    def ended(self, who: str, text: str) -> None:
        self._shown.pop(who, None)
        self.say(f"{who}: {text}")

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Warner:
    """Tells each warning once in a run, when it arises; texts that differ in a number only count as one."""

    def __init__(self, display: Display) -> None:
        self._display, self._told = display, set[str]()

    def tell(self, texts: Iterable[str], of: str) -> None:
        """Tell those of `texts` that are new; `of`: the trial or stage, "" for what no trial has."""
        for text in texts:
            kind = without_numbers(text)
            if kind not in self._told:
                self._told.add(kind)
                self._display.say(f"WARNING: {text}" + (f" ({of})" if of else ""))


class Silent:
    """Shows nothing; for tests and notebooks."""

    def total(self, done: int, total: int, remaining: Duration | None) -> None: ...

    def stage(self, who: str, stage: str, done: int, total: int, seconds: float) -> None: ...

    def ended(self, who: str, text: str) -> None: ...

    def say(self, text: str) -> None: ...


@contextmanager
def display() -> Iterator[Display]:
    """Show bars if stderr is a terminal, else lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        yield Bars(progress)


def stopped(reason: str) -> str:
    """Return why a sweep does not go on, and what to do."""
    return (
        f"stopped before more trials, since they would say nothing: {reason}; train the judge longer, choose "
        "another or give it more images (trial.judge), or go on all the same with --anyway"
    )
