"""Which trials of a study make its front, and what they reached."""

import math
from typing import Any

import numpy as np

from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord
from sweeper.statistics.bootstrap import Floats
from sweeper.statistics.pareto import non_dominated


def finished(record: StudyRecords) -> list[TrialRecord]:
    """Return the trials of `record` that are complete and have a finite value for every objective."""
    return [
        trial
        for trial in record.complete
        if all(_finite(trial.values.get(name)) for name in record.objectives)
    ]


def eligible(record: StudyRecords) -> list[TrialRecord]:
    """Return the finished trials that keep the study's constraints: those that may be on the front."""
    return [trial for trial in finished(record) if trial.feasible is not False]


def counted(record: StudyRecords) -> list[TrialRecord]:
    """Return the eligible trials whose figures make the study's front: all, or those that were chosen.

    Where validation images choose, a trial that was not chosen adds nothing by looking good on test images.
    """
    return front(record) if record.on_validation else eligible(record)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def values(record: StudyRecords) -> Floats:
    """Return float (n, m): the `counted` trials' objectives, in the order of ``record.objectives``."""
    names = list(record.objectives)
    rows = [[trial.values[name] for name in names] for trial in counted(record)]
    return np.array(rows, dtype=np.float64).reshape(-1, len(names))


def front(record: StudyRecords) -> list[TrialRecord]:
    """Return the eligible trials that no other dominates, the best in the first objective first.

    What the search saw decides. Where those were validation images, a member may be dominated by its figures.
    """
    name, direction = next(iter(record.objectives.items()))
    trials = eligible(record)
    on_front = non_dominated(list(map(record.searched_values, trials)), list(record.objectives.values()))
    members = [trial for trial, member in zip(trials, on_front, strict=True) if member]
    return sorted(members, key=lambda trial: trial.values[name], reverse=direction == "maximize")
