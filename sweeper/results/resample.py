"""Trials of a study drawn again: from the stored rates of identities, or else from the trials' intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.results.record_types import TrialRecord
from sweeper.results.stage_files import per_identity
from sweeper.statistics.bootstrap import DRAWS, DRAWS_OF_THREE, Redrawn, by_identities, by_intervals

Floats = NDArray[np.float64]

# Coverage of an interval, by its basis.
BASES = {
    "identities": "drawn again over the attacked identities, the same ones for all trials",
    "identities and seeds": "drawn again over the attacked identities, the same ones for all trials, "
    "and over training seeds",
    "intervals": "drawn from the trials' own intervals, as if they were independent of each other",
}


@dataclass(frozen=True)
class Redraw:
    """The draws of a study, and on what they are based: a key of `BASES`."""

    tables: Redrawn
    basis: str


def redraw(trials: Sequence[TrialRecord], objectives: Sequence[str], *, seed: int = 0) -> Redraw | None:
    """Return the table of finished `trials`, columns as `objectives`, drawn again; None if nothing is known.

    Attack accuracy is drawn over identities where the store has the verdicts of every trial: draws with the
    same `seed` and number of identities are then paired. Otherwise every objective is drawn from the trials'
    intervals, as far as they have some. What has no spread stays as measured, as test accuracy does without
    replicates.
    """
    if not trials:
        return None
    draws = DRAWS if len(objectives) < 3 else DRAWS_OF_THREE
    table = np.array([[trial.values[name] for name in objectives] for trial in trials], dtype=np.float64)
    if "attack_accuracy" in objectives:
        rates = [rate for rate in per_identity(trials) if rate is not None]
        if len(rates) == len(trials) and len({len(rate) for rate in rates}) == 1:
            column = list(objectives).index("attack_accuracy")
            errors = seed_errors(trials, objectives)
            tables = by_identities(table, column, np.array(rates), errors, draws=draws, seed=seed)
            return Redraw(tables, "identities" if errors is None else "identities and seeds")
    ends = np.array([[_ends(trial, name) for name in objectives] for trial in trials], dtype=np.float64)
    if not np.isfinite(ends).any():
        return None
    return Redraw(by_intervals(table, ends, draws=draws, seed=seed), "intervals")


def _ends(trial: TrialRecord, name: str) -> tuple[float, float]:
    low, high = trial.interval.get(name) or (np.nan, np.nan)
    return low, high


def seed_errors(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> Floats | None:
    """Return the standard error (m,) of each objective's mean over training seeds; None without replicates.

    Two or three seeds say little of one trial's spread, so the variance is pooled over all trials with at
    least two.
    """
    seeds = [
        np.array([[seed.values[name] for name in objectives] for seed in trial.replicates])
        for trial in trials
    ]
    several = [values for values in seeds if len(values) > 1]
    if not several:
        return None
    freedom = sum(len(values) - 1 for values in several)
    squares = np.sum([((values - values.mean(axis=0)) ** 2).sum(axis=0) for values in several], axis=0)
    count = np.mean([len(values) for values in several])
    errors: Floats = np.sqrt(squares / freedom / count)
    return errors
