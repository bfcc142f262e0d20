"""Freeze points at equal accuracy: which of them can be compared, and what the regression says of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sweeper.analyses.runs import EPOCH, POINT, Run, by, rates
from sweeper.statistics.equal_accuracy import Adjusted, at_equal_accuracy

UNDEFENDED = "none"


def meeting(runs: Sequence[Run]) -> list[Run]:
    """Return the runs of the undefended target and of all freeze points whose accuracies meet its own.

    Where two ranges of accuracies share nothing, "at equal accuracy" is a guess of the regression. Only
    epochs that all of these trainings have are kept.
    """
    points = by(runs, POINT)
    if UNDEFENDED not in points:
        return []
    low, high = _range(points[UNDEFENDED])
    kept = [own for own in points.values() if max(low, _range(own)[0]) <= min(high, _range(own)[1])]
    epochs = set.intersection(*({run.settings[EPOCH] for run in own} for own in kept))
    return [run for own in kept for run in own if run.settings[EPOCH] in epochs]


def apart(runs: Sequence[Run]) -> list[str]:
    """Return a sentence for each freeze point whose accuracies do not meet those of the undefended target."""
    met = {run.point for run in meeting(runs)}
    points = by(runs, POINT)
    if UNDEFENDED not in met:
        return ["the undefended target is missing, so nothing is compared with it"]
    low, high = _range(points[UNDEFENDED])
    return [
        f"frozen up to {point}, targets are {_range(own)[0]:.3f} to {_range(own)[1]:.3f} accurate, "
        f"undefended ones {low:.3f} to {high:.3f}: at no accuracy can they be compared"
        for point, own in points.items()
        if point not in met
    ]


def regression(runs: Sequence[Run], regressors: Callable[[Run], Sequence[float]]) -> Adjusted | None:
    """Return the regression of `runs` on accuracy and `regressors`; None where nothing can tell."""
    if not runs:
        return None
    runs = sorted(runs, key=lambda run: int(run.settings[EPOCH]))  # checkpoints of a training in one order
    return at_equal_accuracy(
        [run.test_accuracy for run in runs],
        rates(runs),
        np.array([list(regressors(run)) for run in runs], dtype=np.float64),
        [run.training for run in runs],
    )


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """Return how many `runs` are, and between what their accuracies lie, for a table."""
    attacks = [float(run.rates.mean()) for run in runs]
    low, high = _range(runs)
    return {
        "targets": len(runs),
        "lowest_test_accuracy": low,
        "highest_test_accuracy": high,
        "lowest_attack_accuracy": min(attacks),
        "highest_attack_accuracy": max(attacks),
    }


def plotted(runs: Sequence[Run], series: str) -> list[Mapping[str, Any]]:
    """Return the points of a plot, one a run."""
    return [
        {
            "series": series,
            "test_accuracy": run.test_accuracy,
            "attack_accuracy": float(run.rates.mean()),
        }
        for run in runs
    ]


def _range(runs: Sequence[Run]) -> tuple[float, float]:
    accuracies = [run.test_accuracy for run in runs]
    return min(accuracies), max(accuracies)
