"""Targets at equal accuracy: which of them can be compared, and what the regression says of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sweeper.analyses.base import ONE_SEED, Conclusion, one_seed
from sweeper.analyses.runs import EPOCH, Run, accuracy, by, rates
from sweeper.statistics.contrasts import holm
from sweeper.statistics.equal_accuracy import Adjusted, at_equal_accuracy
from sweeper.statistics.paired import LEVEL


def meeting(runs: Sequence[Run], path: str, reference: str) -> list[Run]:
    """Return the runs of the `reference`, and of all other values of `path` whose accuracies meet its own.

    Where two ranges of accuracies share nothing, "at equal accuracy" is a guess of the regression. Only
    epochs that all of these trainings have are kept.
    """
    values = by(runs, path)
    if reference not in values:
        return []
    low, high = _range(values[reference])
    kept = [own for own in values.values() if max(low, _range(own)[0]) <= min(high, _range(own)[1])]
    epochs = set.intersection(*({run.settings[EPOCH] for run in own} for own in kept))
    return [run for own in kept for run in own if run.settings[EPOCH] in epochs]


def apart(runs: Sequence[Run], path: str, reference: str, subject: Callable[[str], str]) -> list[str]:
    """Return a sentence for each value of `path` whose accuracies do not meet those of the `reference`.

    subject: what a value makes of a target, as "frozen up to conv3".
    """
    values = by(runs, path)
    if reference not in values:
        return [f"{subject(reference)} there is no target, so nothing is compared with it"]
    met = by(meeting(runs, path, reference), path)
    low, high = _range(values[reference])
    return [
        f"{subject(value)}, targets are {_range(own)[0]:.3f} to {_range(own)[1]:.3f} accurate, "
        f"{subject(reference)} {low:.3f} to {high:.3f}: at no accuracy can they be compared"
        for value, own in values.items()
        if value not in met
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


def against(runs: Sequence[Run], path: str, reference: str, subject: Callable[[str], str]) -> Conclusion:
    """Return, for each value of `path`, its shift from the `reference` at equal accuracy; see `apart`.

    A value is called different if the permutation test of all of them finds something, and its own shift is
    clear of 0 after an adjustment for their number.
    """
    values = by(runs, path)
    compared = meeting(runs, path, reference)
    others = [value for value in by(compared, path) if value != reference]
    adjusted = None
    if others and not one_seed(runs):
        adjusted = regression(compared, lambda run: [float(run.settings[path] == value) for value in others])
    effects = dict(zip(others, adjusted.effects, strict=True)) if adjusted else {}
    own = dict(zip(effects, holm([effect.p for effect in effects.values()]), strict=True))
    rows: list[dict[str, Any]] = []
    sentences, silent = apart(runs, path, reference, subject), []
    for value, of_value in values.items():
        row = {path.rpartition(".")[2]: value, "trained_parameters": of_value[0].trained_params}
        rows.append({**row, **figures(of_value), "shift": None, "p": None})
        if adjusted is None or value not in effects:
            continue
        effect, p = effects[value], max(own[value], adjusted.p)
        rows[-1] |= {"shift": effect.shift, "shift_interval": [effect.low, effect.high], "p": p}
        if p >= LEVEL:
            silent.append(value)
            continue
        at = accuracy([run for run in compared if run.settings[path] in (value, reference)])
        beside = adjusted.rate(at, [0.0] * len(others))
        leaks = adjusted.rate(at, [float(other == value) for other in others])
        sentences.append(
            f"{subject(value)}, targets leak {'more' if effect.shift > 0 else 'less'} than equally accurate "
            f"ones {subject(reference)}: at test accuracy {at:.3f} attack accuracy {leaks:.3f} against "
            f"{beside:.3f}, p {p:.2g}"
        )
    sentences += [
        f"{subject(value)}, targets are not shown to leak more or less than equally accurate ones "
        f"{subject(reference)}"
        for value in silent
    ]
    if one_seed(runs):
        sentences.append(ONE_SEED)
    elif others and adjusted is None:
        sentences.append(
            "too few trainings, accuracies that do not vary, or leakage that does not vary beside them: "
            "nothing is concluded"
        )
    plot = [each for value, of_value in values.items() for each in plotted(of_value, str(value))]
    return Conclusion(rows=tuple(rows), sentences=tuple(sentences), points=tuple(plot))


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


def plotted(runs: Sequence[Run], series: str) -> list[dict[str, Any]]:
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
