"""A trial repeated under several seeds: run one after another in one worker, told as one result."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweeper.statistics.intervals import interval_over
from sweeper.study.metrics import find_metric
from trainables.runtime.progress import Report

Run = Callable[..., dict[str, Any]]
Result = dict[str, Any]


def run_replicates(
    trial: Mapping[str, Any],
    *,
    run: Run,
    count: int,
    store_root: str,
    device: str,
    report: Report,
    **options: Any,
) -> Result:
    """Run `trial` under its `replicate` number and the `count` - 1 after it; return what `combine` says.

    Shared stages are the same for all. A finished replicate is found in the store when a killed trial starts
    again, as every stage is. options: go to `run` as they are.
    """
    first = trial.get("replicate", 0)
    results = []
    for number in range(first, first + count):

        def told(stage: str, done: int, total: int, number: int = number, **metrics: float) -> None:
            report(f"{stage}, seed {number - first + 1} of {count}", done, total, **metrics)

        document = {**trial, "replicate": number}
        result = run(document, store_root=store_root, device=device, report=told, **options)
        results.append({**result, "replicate": number})
    return combine(results)


def combine(results: Sequence[Mapping[str, Any]]) -> Result:
    """Return one result for `results` of the same trial, each with its ``replicate`` number.

    Values and metrics are means, seconds are sums (and ``metrics["train_seconds"]`` their mean), intervals
    are `interval_over`; curves, parameter counts and artifacts are those of the first. ``replicates`` lists
    what each gave.
    """
    first = results[0]
    combined: Result = {key: value for key, value in first.items() if key != "replicate"}
    combined["values"] = _means([result.get("values", {}) for result in results])
    combined["metrics"] = _means([result.get("metrics", {}) for result in results])
    combined["seconds"] = _sums([result.get("seconds", {}) for result in results])
    if "target" in combined["seconds"]:
        combined["metrics"]["train_seconds"] = combined["seconds"]["target"] / len(results)
    combined["interval"] = {
        name: list(interval)
        for name in _with_intervals(results)
        if (
            interval := _interval(
                name,
                [
                    ({**result.get("metrics", {}), **result["values"]}, result.get("interval", {}))
                    for result in results
                ],
            )
        )
    }
    if "attacks" in first:
        combined["attacks"] = {
            name: {
                **attack,
                "metrics": _means([r["attacks"][name]["metrics"] for r in results]),
                "seconds": _sums([r["attacks"][name]["seconds"] for r in results]),
                "interval": list(
                    interval_over(
                        [r["attacks"][name]["metrics"]["attack_accuracy_top1"] for r in results],
                        [r["attacks"][name]["interval"] for r in results],
                        *_bounds("attack_accuracy"),
                    )
                    or attack["interval"]
                ),
                **_verified([r["attacks"][name] for r in results]),
            }
            for name, attack in first["attacks"].items()
        }
        combined["strongest"] = max(
            combined["attacks"],
            key=lambda name: combined["attacks"][name]["metrics"]["attack_accuracy_top1"],
        )
    if all("people" in result for result in results):
        # Whom each seed found is not told here: together they found at least as many as the luckiest of them.
        combined["people"] = max((result["people"] for result in results), key=lambda people: people["found"])
    combined["warnings"] = list(
        dict.fromkeys(text for result in results for text in result.get("warnings") or [])
    )
    combined["replicates"] = [
        {
            key: result.get(key, {} if key != "replicate" else None)
            for key in ("replicate", "values", "interval", "artifacts", "changes")
            if key != "changes" or result.get(key)
        }
        | {key: result[key] for key in ("data", "machines") if key in result}
        for result in results
    ]
    return combined


def _with_intervals(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the values, and of the metrics that have an interval in every result."""
    values = results[0].get("values", {})
    others = [
        name
        for name in results[0].get("interval", {})
        if name not in values and all(name in result.get("metrics", {}) for result in results)
    ]
    return [*values, *others]


def _verified(attacks: Sequence[Mapping[str, Any]]) -> dict[str, list[float] | None]:
    """Return the interval of an attack's verified accuracy over seeds; nothing where no seed has one."""
    name = "attack_accuracy_verified"
    if not any("verified" in attack for attack in attacks):
        return {}
    rows = [(attack["metrics"], {name: attack.get("verified")}) for attack in attacks]
    known = all(name in metrics for metrics, _ in rows)
    interval = _interval(name, rows) if known else None
    return {"verified": list(interval) if interval else None}


def _interval(
    name: str, rows: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> tuple[float, float] | None:
    values = [row[name] for row, _ in rows if row.get(name) is not None]
    if len(values) < len(rows):
        return None
    return interval_over(values, [ends.get(name) for _, ends in rows], *_bounds(name))


def _bounds(name: str) -> tuple[float, float]:
    metric = find_metric(name)
    low = -math.inf if metric is None or metric.low is None else metric.low
    high = math.inf if metric is None or metric.high is None else metric.high
    return low, high


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean of every number that all rows have; what is no number, or not in all, is dropped."""
    return {
        name: math.fsum(row[name] for row in rows) / len(rows)
        for name in rows[0]
        if all(isinstance(row.get(name), int | float) for row in rows)
    }


def _sums(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: math.fsum(row.get(name, 0.0) for row in rows) for name in names}
