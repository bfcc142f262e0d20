"""Set the fronts of several studies against each other."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sweeper.front import REFERENCE, dominated_share, hypervolume, non_dominated
from trainables.errors import ConfigError

Record = dict[str, Any]


def finished(record: Record) -> list[dict[str, Any]]:
    """Return the trials of `record` that are complete and have a finite value for every objective."""
    return [
        trial
        for trial in record["trials"]
        if trial["state"] == "complete"
        and all(_finite(trial["values"].get(name)) for name in record["objectives"])
    ]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def values(record: Record) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return float (n, m): the finished trials' objectives, in the order of ``record["objectives"]``."""
    names = list(record["objectives"])
    rows = [[trial["values"][name] for name in names] for trial in finished(record)]
    return np.array(rows, dtype=np.float64).reshape(-1, len(names))


def front(record: Record) -> list[dict[str, Any]]:
    """Return the finished trials that no other dominates, the best in the first objective first."""
    objectives: dict[str, str] = record["objectives"]
    name, direction = next(iter(objectives.items()))
    on_front = non_dominated(values(record), list(objectives.values()))
    kept = [trial for trial, keep in zip(finished(record), on_front, strict=True) if keep]
    return sorted(kept, key=lambda trial: trial["values"][name], reverse=direction == "maximize")


def shared_reference(records: Sequence[Record]) -> dict[str, float]:
    """Return one reference point: for each objective the worst that any study names, or the default."""
    shared: dict[str, float] = {}
    for name, direction in records[0]["objectives"].items():
        named = [float(r["reference_point"][name]) for r in records if name in r.get("reference_point", {})]
        if name in REFERENCE:
            named.append(REFERENCE[name])
        if not named:
            raise ConfigError(
                f"a hypervolume needs a reference point for every objective; got none for '{name}' "
                f"in study '{records[0]['study']}'"
            )
        shared[name] = min(named) if direction == "maximize" else max(named)
    return shared


def check_comparable(records: Sequence[Record]) -> None:
    """Raise `ConfigError` unless there are studies, under different names, with the same objectives."""
    if not records:
        raise ConfigError("compare expects at least one study; got none")
    names = [record["study"] for record in records]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise ConfigError(f"compare expects different studies; got '{doubles[0]}' more than once")
    first = records[0]
    for record in records[1:]:
        if dict(record["objectives"]) != dict(first["objectives"]):
            raise ConfigError(
                f"studies compare only under the same objectives; '{first['study']}' has "
                f"{_written(first['objectives'])}, '{record['study']}' has {_written(record['objectives'])}"
            )


def _written(objectives: dict[str, str]) -> str:
    return ", ".join(f"{name}: {direction}" for name, direction in objectives.items())


def compare(records: list[Record]) -> dict[str, Any]:
    """Return how the fronts of `records` (of `sweeper front`) relate, as JSON-ready data.

    ``{"reference_point", "studies": [{"study", "hypervolume", "front": [trials], "trials": finished}],
    "dominated": {a: {b: share of a's front that b dominates}}}``; one reference point for all. Raises
    `ConfigError` for studies under other objectives or under one name.
    """
    check_comparable(records)
    objectives: dict[str, str] = records[0]["objectives"]
    names, directions = list(objectives), list(objectives.values())
    reference = shared_reference(records)
    # Columns in one order: two studies may list the same objectives differently.
    tables = {r["study"]: values({**r, "objectives": objectives}) for r in records}
    return {
        "reference_point": reference,
        "studies": [
            {
                "study": record["study"],
                "hypervolume": hypervolume(
                    tables[record["study"]], directions, [reference[name] for name in names]
                ),
                "front": front({**record, "objectives": objectives}),
                "trials": len(tables[record["study"]]),
            }
            for record in records
        ],
        "dominated": {
            a: {b: dominated_share(tables[a], tables[b], directions) for b in tables if b != a}
            for a in tables
        },
    }
