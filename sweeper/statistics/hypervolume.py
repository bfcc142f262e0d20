"""The hypervolume of a front, and how it grew with the work that went into a study."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import moocore
import numpy as np
from numpy.typing import ArrayLike

from sweeper.statistics.pareto import as_costs, signs


class Trial(Protocol):
    """A trial that ended, or runs: see ``sweeper.results.record_types.TrialRecord``."""

    @property
    def number(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def values(self) -> Mapping[str, float]: ...
    @property
    def seconds(self) -> Mapping[str, float]: ...
    @property
    def finished(self) -> str | None: ...


class HypervolumeStep(NamedTuple):
    """State of a study when trial `number` ended: seconds of work in trials so far, and its hypervolume."""

    number: int
    seconds: float
    volume: float


def work(trial: Trial) -> float:
    """Return the seconds that the stages of a trial took when they were made, whoever made them."""
    return float(sum(trial.seconds.values()))


def growth(
    trials: Sequence[Trial],
    counted: set[int],
    objectives: Mapping[str, str],
    reference: Sequence[float],
    by: Mapping[int, Sequence[float]] | None = None,
) -> list[HypervolumeStep]:
    """Return a step for each of `trials` that ended, in the order of their ends.

    counted: the numbers of those that have a result; the others only cost time. by: number -> figures, one an
    objective, that decide who is on the front, where those are others than are reported. The volume is that
    of what is reported, so it may fall then: a new member is worth less than it looked.
    """
    turned = signs(list(objectives.values()))
    downwards, corner = ["minimize"] * len(turned), turned * np.asarray(reference, dtype=np.float64)
    ended = [trial for trial in trials if trial.state != "running"]
    ended.sort(key=lambda trial: (str(trial.finished or ""), trial.number))
    best, reported = np.empty((0, len(turned))), np.empty((0, len(turned)))
    seconds, volume = 0.0, 0.0
    steps: list[HypervolumeStep] = []
    for trial in ended:
        seconds += work(trial)
        if trial.number in counted:
            values = turned * np.array([trial.values[name] for name in objectives], dtype=np.float64)
            row = values if by is None else turned * np.asarray(by[trial.number], dtype=np.float64)
            behind = (best <= row).all(axis=1)
            if by is not None:
                behind &= (best < row).any(axis=1)  # an equal one is on the front too, and may be worth more
            if not behind.any():  # most trials are behind: spare them the volume
                ahead = (row <= best).all(axis=1) & (row < best).any(axis=1)
                best = np.vstack([best[~ahead], row])
                reported = np.vstack([reported[~ahead], values])
                volume = hypervolume(reported, downwards, corner.tolist())
        steps.append(HypervolumeStep(trial.number, seconds, volume))
    return steps


def volume_after(steps: Sequence[HypervolumeStep], seconds: float) -> float:
    """Return the hypervolume of the trials that had ended after `seconds` of work."""
    volume = 0.0
    for step in steps:
        if step.seconds > seconds * (1 + 1e-9):
            break
        volume = step.volume
    return volume


# The worst that each objective can be: a useless classifier, and one that an attacker reads completely.
REFERENCE = {"test_accuracy": 0.0, "attack_accuracy": 1.0}


def hypervolume(values: ArrayLike, directions: Sequence[str], reference: Sequence[float]) -> float:
    """Return the exact volume dominated by the rows and bounded by `reference` (m,); higher is better.

    Rows that are not better than the reference in every objective add nothing. With the default reference
    and accuracies in [0, 1] the result lies in [0, 1].
    """
    costs = as_costs(values, directions)
    corner = as_costs([list(reference)], directions)[0]
    costs = costs[np.isfinite(costs).all(axis=1)]
    return float(moocore.hypervolume(costs, ref=corner)) if len(costs) else 0.0
