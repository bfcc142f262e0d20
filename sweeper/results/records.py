"""Stored studies as plain data: what `front`, `compare`, the report, MLflow and a notebook read."""

import json
import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from sweeper.storage.home import Home, open_home
from sweeper.study.objectives import reference_point
from trainables.errors import ConfigError

if TYPE_CHECKING:
    import pandas

_RESULT = ("interval", "trained_params", "total_params", "seconds")
_EXTRAS = (
    "metrics",
    "freeze_point",
    "defense",
    "attacks",
    "strongest",
    "people",
    "data",
    "version",
    "replicates",
    "screening",
    "warnings",
    "artifacts",
    "reason",
)


def study_records(home: Home, name: str, *, history: bool = True) -> dict[str, Any]:
    """Return the study `name` as JSON-ready data.

    ``study``, ``objectives`` (name -> direction), ``reference_point`` (`measures.reference_point` of the
    complete trials), ``hypervolume`` (of the complete trials that keep the constraints), ``trials``: each
    with ``number``, ``state`` (complete, screened, failed or running), ``params``, ``values``,
    ``interval``, ``on_front``, ``trained_params``, ``total_params``, ``seconds``, ``feasible`` (whether it
    keeps the constraints; None without a result), and for the report ``metrics``, ``freeze_point``,
    ``defense``, ``attacks``, ``strongest``, ``people`` (how many were attacked and found), ``data``
    (fingerprints of the images), ``version`` (of this program), ``replicates`` (what each seed gave, if
    several), ``screening`` (what a short attack showed), ``warnings``, ``artifacts``, ``reason`` (of a
    failure, or what an infeasible trial misses), ``started``, ``finished`` and, if asked for, ``history``.
    An infeasible trial is never on the front. What ``sweeper confirm`` measured is added as `add_confirmed`
    says. Raises `ConfigError` naming the nearest studies.
    """
    from sweeper.results.confirmed import add_confirmed
    from sweeper.search.confirmation_log import stored_confirmation
    from sweeper.search.reading import stored_trials
    from sweeper.statistics.hypervolume import hypervolume
    from sweeper.statistics.pareto import non_dominated

    check_exists(home, name)
    objectives, stored = stored_trials(home.storage, name)
    trials = [_record(home, name, objectives, trial, history) for trial in stored]
    complete = [t for t in trials if t["state"] == "complete"]
    feasible = [t for t in complete if t["feasible"]]
    directions = list(objectives.values())
    reference = reference_point(objectives, [t["values"] for t in complete])
    volume = 0.0
    if feasible:
        import numpy as np

        values = np.array([[t["values"][o] for o in objectives] for t in feasible], dtype=float)
        for trial, chosen in zip(feasible, non_dominated(values, directions), strict=True):
            trial["on_front"] = bool(chosen)
        volume = float(hypervolume(values, directions, [reference[o] for o in objectives]))
    records = {
        "study": name,
        "objectives": objectives,
        "reference_point": reference,
        "hypervolume": volume,
        "trials": trials,
    }
    add_confirmed(records, *stored_confirmation(home.storage, name))
    clean: dict[str, Any] = _finite(records)
    return clean


def check_exists(home: Home, name: str) -> None:
    """Raise `ConfigError` unless the home holds the study `name`."""
    known = study_names(home)
    if name not in known:
        near = get_close_matches(name, known, 3)
        hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        have = ", ".join(known) or "none yet; start one with `sweeper run`"
        raise ConfigError(f"expected a study of {home.root}, got '{name}'{hint} (studies there: {have})")


def study_names(home: Home) -> list[str]:
    """Return the names of the studies that the home's database holds."""
    from sweeper.search.reading import stored_studies
    from sweeper.storage.databases import sqlite_file

    file = sqlite_file(home.storage)
    if file is not None and not file.exists():
        return []  # asking SQLite would create the file
    return stored_studies(home.storage)


def _record(
    home: Home, name: str, objectives: dict[str, str], stored: dict[str, Any], history: bool
) -> dict[str, Any]:
    result = stored["result"]
    complete = stored["state"] == "complete"
    values = dict(zip(objectives, stored["values"], strict=True)) if complete else {}
    missed = [text for text, violation in stored["violations"].items() if violation > 0]
    record: dict[str, Any] = {
        "number": stored["number"],
        "state": stored["state"],
        "params": result.get("params", stored["params"]),
        "values": values,
        "on_front": False,
        "feasible": not missed if complete else None,
    }
    for key in (*_RESULT, *_EXTRAS):
        record[key] = result.get(key, {} if key in ("interval", "seconds", "metrics", "artifacts") else None)
    record["warnings"] = record["warnings"] or []
    if complete and missed:
        record["reason"] = f"misses {' and '.join(missed)}"
    record["started"], record["finished"] = stored["started"], stored["finished"]
    if history:
        try:
            record["history"] = json.loads(
                (home.study(name) / "history" / f"{stored['number']}.json").read_text()
            )
        except FileNotFoundError:
            record["history"] = {}
    return record


def _finite(value: Any) -> Any:
    """Return `value` with every number that JSON cannot hold as None."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@dataclass(frozen=True)
class StoredStudy:
    """A study for notebooks; what it returns is read afresh at every call."""

    name: str
    home: Home

    def records(self) -> dict[str, Any]:
        """Return what `study_records` returns."""
        return study_records(self.home, self.name)

    def trials(self) -> "pandas.DataFrame":
        """Return one row a trial: number, state, parameters, objectives, intervals, metrics, seconds."""
        import pandas

        rows = [flat_row(trial) for trial in study_records(self.home, self.name, history=False)["trials"]]
        return pandas.DataFrame(rows)

    def front(self) -> "pandas.DataFrame":
        """Return the rows of the trials on the front, the highest first objective first."""
        frame = self.trials()
        if frame.empty:
            return frame
        objectives = study_records(self.home, self.name, history=False)["objectives"]
        first = next(iter(objectives))
        chosen = frame[frame["on_front"]]
        return chosen.sort_values(first, ascending=objectives[first] == "minimize").reset_index(drop=True)


def flat_row(trial: dict[str, Any]) -> dict[str, Any]:
    """Return a trial of `study_records` as one flat row: plain columns first, then parameters and metrics."""
    row: dict[str, Any] = {"number": trial["number"], "state": trial["state"], "on_front": trial["on_front"]}
    row |= trial["values"]
    for name, interval in trial["interval"].items():
        row[f"{name}_low"], row[f"{name}_high"] = interval
    for key in ("feasible", "freeze_point", "defense", "trained_params", "total_params", "reason"):
        row[key] = trial[key]
    fresh = trial.get("confirmed")
    if fresh:
        row |= {f"confirmed_{name}": value for name, value in fresh["values"].items()}
        for name, (low, high) in fresh["interval"].items():
            row[f"confirmed_{name}_low"], row[f"confirmed_{name}_high"] = low, high
        row |= {"confirmed_seeds": fresh["seeds"], "front_probability": fresh["front_probability"]}
    row |= trial["params"]
    row |= {name: value for name, value in trial["metrics"].items() if name not in row}
    row |= {f"seconds.{stage}": value for stage, value in trial["seconds"].items()}
    return row


def open_study(name: str, home: str | None = None) -> StoredStudy:
    """Return the stored study `name` of a home (default: SWEEPER_HOME, else ``./sweeps``)."""
    place = open_home(home)
    check_exists(place, name)
    return StoredStudy(name, place)
