"""A linear axis with round ticks, from what was measured to pixels."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sweeper.results.formatting import is_share
from sweeper.results.trial_record import TrialRecord
from sweeper.statistics.round_numbers import _step
from sweeper.study.objectives import bound

LEAST = 0.1


@dataclass(frozen=True)
class Axis:
    """A linear axis of one objective, from data `low` .. `high` to pixels `start` .. `end`."""

    name: str
    direction: str
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Return round values inside the axis."""
        step = _step(self.high - self.low)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]

    def word(self, value: float) -> str:
        """Return `value` as a tick label."""
        return f"{100 * value:.4g} %" if is_share(self.name) else f"{value:.4g}"


def axis_for(name: str, direction: str, trials: Iterable[TrialRecord], start: float, end: float) -> Axis:
    """Return an axis over what the finished `trials` and their intervals reach in the objective `name`.

    It spans at least a tenth of what a share can be, or of the values' size, so that values that are nearly
    equal look nearly equal.
    """
    numbers = [number for trial in trials for number in _reach(trial, name)]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    bottom, top = bound(name, "maximize"), bound(name, "minimize")
    if direction == "minimize" and low >= 0:
        low = 0.0  # the wish is zero: show how far it is
    least = LEAST * (1.0 if bottom is not None and top is not None else max(abs(low), abs(high), 1e-9))
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
        if top is not None and high > top:
            low, high = top - least, top
        if bottom is not None and low < bottom:
            low, high = bottom, bottom + least
    span = high - low
    step = _step(span * 1.08)
    low, high = math.floor((low - 0.02 * span) / step) * step, high + 0.06 * span
    if min(numbers, default=0.0) >= 0:
        low = max(low, 0.0)
    return Axis(name, direction, low, high, start, end)


def _reach(trial: TrialRecord, name: str) -> Iterator[float]:
    yield float(trial.values[name])
    yield from map(float, trial.interval.get(name) or ())
    if trial.stopped is not None and name in trial.stopped:
        yield float(trial.stopped[name])
