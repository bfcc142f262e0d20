"""Objectives of a study: where a trial's result holds a figure, how bad it can get, the reference point."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sweeper.study.metrics import trial_metrics


def is_number(value: Any) -> bool:
    """Return whether `value` is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def measured(result: Mapping[str, Any], name: str) -> Any:
    """Return the figure `name` of what a trial gave (``run_trial``), or None if it has none."""
    for part in ("values", "metrics"):
        figure = (result.get(part) or {}).get(name)
        if figure is not None:
            return figure
    return (result.get("seconds") or {}).get("target") if name == "train_seconds" else None


Accuracy = Literal["validation", "test"]


def searched_name(name: str, accuracy: Accuracy) -> str:
    """Return the figure that a search sees for the metric `name`, which it reports of finished trials.

    A search on validation images never looks at a test image: it sees the validation accuracy instead.
    """
    return "validation_accuracy" if (name, accuracy) == ("test_accuracy", "validation") else name


def searched_accuracy(definition: Mapping[str, Any] | None) -> Accuracy:
    """Return whose accuracy a stored study searches for; test where it was begun before that was a choice."""
    return "validation" if (definition or {}).get("accuracy") == "validation" else "test"


def bound(name: str, direction: str) -> float | None:
    """Return the worst that `name` can be if it is to be maximised or minimised; None if it has no bound."""
    metric = trial_metrics().get(name)
    if metric is None:
        return None
    return metric.low if direction == "maximize" else metric.high


def reference_point(objectives: Mapping[str, str], values: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the point that hypervolumes are measured against, for the `values` of finished trials.

    For each objective the worst that it can be, and where that has no bound the worst that was measured: then
    hypervolumes of a growing study do not compare. An objective that nobody measured yet is left out.
    """
    rows = list(values)
    point: dict[str, float] = {}
    for name, direction in objectives.items():
        worst = bound(name, direction)
        if worst is None and rows:
            worst = (min if direction == "maximize" else max)(row[name] for row in rows)
        if worst is not None:
            point[name] = worst
    return point
