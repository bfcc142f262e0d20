"""What trials can be judged by: which way is better, how bad it can get, where a trial's result holds it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Measure:
    """A figure of a trial. best: the direction that is better for who releases the target.

    low, high: its natural bounds; None where it has none.
    """

    best: Direction
    low: float | None
    high: float | None
    summary: str


MEASURES: dict[str, Measure] = {
    "test_accuracy": Measure("maximize", 0.0, 1.0, "share of private test images classified correctly"),
    "attack_accuracy": Measure("minimize", 0.0, 1.0, "share of reconstructions that the judge recognises"),
    "knn_distance": Measure(
        "maximize", 0.0, None, "squared distance of a reconstruction to the nearest private training image"
    ),
    "train_seconds": Measure("minimize", 0.0, None, "seconds that the target trained, as measured"),
}

# The Δ ratio of the literature is not among them: it has no bound and grows for targets that cost nothing.


def is_number(value: Any) -> bool:
    """Return whether `value` is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def measured(result: Mapping[str, Any], name: str) -> Any:
    """Return the figure `name` of what a trial gave (``run_trial``), or None if it has none."""
    for part in ("values", "metrics"):
        found = (result.get(part) or {}).get(name)
        if found is not None:
            return found
    return (result.get("seconds") or {}).get("target") if name == "train_seconds" else None


def bound(name: str, direction: str) -> float | None:
    """Return the worst that `name` can be if it is to be maximised or minimised; None if it has no bound."""
    measure = MEASURES.get(name)
    if measure is None:
        return None
    return measure.low if direction == "maximize" else measure.high


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
