"""Stored studies as records for `front`, `compare`, the report, MLflow and notebooks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.results.comparing.against_undefended import with_ratios
from sweeper.results.controls.assessment import assessed
from sweeper.results.one_data import check_one_data
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord
from sweeper.storage.home import Home, open_home
from sweeper.study.constraints import Constraint, parse_constraint
from sweeper.study.objectives import measured, reference_point, searched_accuracy, searched_name
from trainables.errors import ConfigError
from trainables.results import json_ready

if TYPE_CHECKING:
    import pandas

# Parts of a trial's stored result that its record takes over as they are.
_RESULT = (
    "interval",
    "trained_params",
    "total_params",
    "seconds",
    "metrics",
    "freeze_point",
    "defense",
    "attacks",
    "strongest",
    "people",
    "data",
    "version",
    "machines",
    "replicates",
    "screening",
    "warnings",
    "artifacts",
    "reason",
)


def study_records(home: Home, name: str, *, history: bool = True) -> StudyRecords:
    """Return the study `name` as it is stored now.

    The reference point is that of the complete trials (`objectives.reference_point`), the hypervolume that of
    those among them that keep the constraints; an infeasible trial is never on the front. A study that
    searched on validation images has the front that these show, and its hypervolume is what that front
    reaches on the test images. history: also read the curves of every trial. Raises `ConfigError` naming the
    nearest studies.
    """
    from sweeper.results.confirmed import with_confirmation
    from sweeper.results.people import recovered
    from sweeper.results.seed_noise import with_seed_noise
    from sweeper.search.analysis_notes import kept_rows
    from sweeper.search.confirmation_log import stored_confirmation
    from sweeper.search.reading import (
        CONTROLS,
        DEFINITION,
        NOISE,
        PANELS,
        STOPPED,
        stored_notes,
        stored_trials,
    )
    from sweeper.statistics.hypervolume import hypervolume
    from sweeper.statistics.pareto import non_dominated

    check_exists(home, name)
    objectives, stored = stored_trials(home.storage, name)
    notes = stored_notes(home.storage, name)
    definition = notes.get(DEFINITION)
    searched = {searched_name(n, searched_accuracy(definition)): way for n, way in objectives.items()}
    limits = [parse_constraint(text, name) for text in (definition or {}).get("constraints", ())]
    trials = {
        trial["number"]: _record(home, name, objectives, list(searched), limits, trial, history)
        for trial in stored
    }
    for number, figures in ((notes.get(STOPPED) or {}).get("trials") or {}).items():
        if figures is not None and int(number) in trials:
            trials[int(number)] = replace(trials[int(number)], stopped=figures)
    complete = [trial for trial in trials.values() if trial.complete]
    feasible = [trial for trial in complete if trial.feasible]
    directions = list(objectives.values())
    reference = reference_point(objectives, [trial.values for trial in complete])
    volume = 0.0
    if feasible:
        import numpy as np

        sought = np.array([[trial.searched[name] for name in searched] for trial in feasible], dtype=float)
        on_front = non_dominated(sought, directions)
        for trial, member in zip(feasible, on_front, strict=True):
            trials[trial.number] = replace(trial, on_front=bool(member))
        values = np.array([[trial.values[name] for name in objectives] for trial in feasible], dtype=float)
        corner = [reference[name] for name in objectives]
        volume = float(hypervolume(values[on_front], directions, corner))
    records = StudyRecords(
        study=name,
        objectives=objectives,
        searched=searched,
        reference_point=reference,
        hypervolume=volume,
        trials=tuple(trials.values()),
        controls=notes.get(CONTROLS),
        definition=definition,
        panels=(notes.get(PANELS) or {}).get("figures"),
        analyses=kept_rows(notes, trials),
    )
    attacks, fresh = stored_confirmation(home.storage, name)
    root = home.store.root
    measured_again = {number: [_located(one, root) for one in results] for number, results in fresh.items()}
    records = with_confirmation(records, attacks, measured_again)
    records = with_seed_noise(records, notes.get(NOISE))
    controls = assessed(records.controls, records.seed_noise)
    return with_ratios(replace(records, controls=controls, people=recovered(records.members)))


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
    home: Home,
    name: str,
    objectives: Mapping[str, str],
    searched: Sequence[str],
    limits: Sequence[Constraint],
    stored: Mapping[str, Any],
    history: bool,
) -> TrialRecord:
    """Return a trial as it is stored. searched: the names of the objectives as the search saw them."""
    result = _located(stored["result"], home.store.root)
    complete = stored["state"] == "complete"
    missed = [text for text, violation in stored["violations"].items() if violation > 0]
    document: dict[str, Any] = {key: result.get(key) for key in _RESULT}
    document |= {key: stored[key] for key in ("number", "state", "started", "finished")}
    document |= {"params": result.get("params", stored["params"]), "values": {}}
    if complete:
        pairs = list(zip(objectives, searched, stored["values"], strict=True))
        document["searched"] = {seen: value for _, seen, value in pairs}
        document["values"] = {
            name: value if name == seen else measured(result, name) for name, seen, value in pairs
        }
        document["feasible"] = not missed
        if missed:
            document["reason"] = f"misses {' and '.join(missed)}"
        else:
            document["missed"] = [str(limit) for limit in limits if (limit.violation(result) or 0) > 0]
    if history:
        document["history"] = _history(home.study(name) / "history" / f"{stored['number']}.json")
    return TrialRecord.from_json(json_ready(document))


def _history(path: Path) -> dict[str, Any]:
    """Return the curves of a trial; {} where the file is not there, or damaged: its figures are elsewhere."""
    try:
        history = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return history if isinstance(history, dict) else {}


def _located(result: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return a stored result with its stages where they are: in the store `root` of a home that was moved or
    copied, if it has them and the recorded folder is not there.
    """

    def place(recorded: str) -> str:
        path = Path(recorded)
        own = root / path.parent.name / path.name
        return str(own) if path != own and not path.is_dir() and own.is_dir() else recorded

    located = dict(result)
    if result.get("artifacts"):
        located["artifacts"] = {name: place(folder) for name, folder in result["artifacts"].items()}
    if result.get("replicates"):
        located["replicates"] = [_located(seed, root) for seed in result["replicates"]]
    return located


@dataclass(frozen=True)
class StoredStudy:
    """A study for notebooks, read afresh at every call."""

    name: str
    home: Home

    def records(self) -> dict[str, Any]:
        """Return the study as the JSON of ``sweeper front``, each trial with its ``history``."""
        return concluded(study_records(self.home, self.name))

    def trials(self) -> "pandas.DataFrame":
        """Return one row a trial: number, state, parameters, objectives, intervals, metrics, seconds."""
        import pandas

        records = study_records(self.home, self.name, history=False)
        return pandas.DataFrame([flat_row(trial) for trial in records.trials])

    def front(self) -> "pandas.DataFrame":
        """Return the rows of the trials on the front, the highest first objective first."""
        frame = self.trials()
        if frame.empty:
            return frame
        records = study_records(self.home, self.name, history=False)
        check_one_data(records)
        objectives = records.objectives
        first = next(iter(objectives))
        members = frame[frame["on_front"]]
        return members.sort_values(first, ascending=objectives[first] == "minimize").reset_index(drop=True)


def concluded(records: StudyRecords) -> dict[str, Any]:
    """Return a study as the JSON of ``sweeper front``: its records, and what is concluded of them."""
    from sweeper.results.controls.pretraining_distance import distances
    from sweeper.results.summary import summary

    return {
        **records.to_json(),
        "pretraining_distance": [distance.to_json() for distance in distances(records)],
        "summary": summary(records),
    }


def flat_row(trial: TrialRecord) -> dict[str, Any]:
    """Return a trial as one flat row: plain columns first, then parameters and metrics."""
    row: dict[str, Any] = {"number": trial.number, "state": trial.state, "on_front": trial.on_front}
    row |= trial.values
    for name, interval in trial.interval.items():
        row[f"{name}_low"], row[f"{name}_high"] = interval
    for key in ("feasible", "freeze_point", "defense", "trained_params", "total_params", "reason"):
        row[key] = getattr(trial, key)
    if trial.confirmed:
        row |= {f"confirmed_{name}": value for name, value in trial.confirmed.values.items()}
        for name, (low, high) in trial.confirmed.interval.items():
            row[f"confirmed_{name}_low"], row[f"confirmed_{name}_high"] = low, high
        row["confirmed_seeds"] = trial.confirmed.seeds
        row["front_probability"] = trial.confirmed.front_probability
    row |= trial.params
    row |= {name: value for name, value in trial.metrics.items() if name not in row}
    row |= {f"seconds.{stage}": value for stage, value in trial.seconds.items()}
    return row


def open_study(name: str, home: str | None = None) -> StoredStudy:
    """Return the stored study `name` of a home (default: SWEEPER_HOME, else ``./sweeps``)."""
    opened = open_home(home)
    check_exists(opened, name)
    return StoredStudy(name, opened)
