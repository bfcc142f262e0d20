"""How a study's hypervolume grew with the work that went into it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sweeper.front import hypervolume, signs

Trial = Mapping[str, Any]


class Step(NamedTuple):
    """What a study had when trial `number` ended: seconds of work in trials so far, and its hypervolume."""

    number: int
    seconds: float
    volume: float


def work(trial: Trial) -> float:
    """Return the seconds that the stages of a trial took when they were made, whoever made them."""
    return float(sum((trial.get("seconds") or {}).values()))


def growth(
    trials: Sequence[Trial], counted: set[int], objectives: Mapping[str, str], reference: Sequence[float]
) -> list[Step]:
    """Return a step for each of `trials` that ended, in the order of their ends.

    counted: the numbers of those that have a result; the others only cost time.
    """
    turned = signs(list(objectives.values()))
    downwards, corner = ["minimize"] * len(turned), turned * np.asarray(reference, dtype=np.float64)
    ended = [trial for trial in trials if trial["state"] != "running"]
    ended.sort(key=lambda trial: (str(trial.get("finished") or ""), trial["number"]))
    best = np.empty((0, len(turned)))
    seconds, volume = 0.0, 0.0
    steps: list[Step] = []
    for trial in ended:
        seconds += work(trial)
        if trial["number"] in counted:
            row = turned * np.array([trial["values"][name] for name in objectives], dtype=np.float64)
            if not (best <= row).all(axis=1).any():  # most trials are behind: spare them the volume
                best = np.vstack([best[~(row <= best).all(axis=1)], row])
                volume = hypervolume(best, downwards, corner.tolist())
        steps.append(Step(trial["number"], seconds, volume))
    return steps


def volume_after(steps: Sequence[Step], seconds: float) -> float:
    """Return the hypervolume of the trials that had ended after `seconds` of work."""
    volume = 0.0
    for step in steps:
        if step.seconds > seconds * (1 + 1e-9):
            break
        volume = step.volume
    return volume
