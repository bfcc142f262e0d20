"""Stored Optuna studies read as plain data, and the storage that they lie in."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna

from sweeper.storage.databases import (
    alone,
    check_storage,
    engine_options,
    read_only_url,
    sqlite_file,
    storage_errors,
    write_ahead,
)
from trainables.errors import ConfigError
from trainables.storage.disk import disk_errors, write_text
from trainables.storage.urls import redact

State = optuna.trial.TrialState
# Attributes of an Optuna study: its definition, what its paths named, and what others measured of it or said.
DEFINITION = "identity"
SOURCES = "sources"
CONTROLS = "controls"
PANELS = "panels"
NOISE = "seed_noise"  # replicates that tell the noise of training seeds: ``{"members", "results"}``
STOPPED = "stopped"

RETRY_SECONDS = (0.2, 1.0)  # pauses before a server's database is opened again


def write_history(folder: Path, number: int, history: Mapping[str, Any]) -> None:
    """Write the per-epoch history of a trial, at once and complete."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / f"{number}.json", json.dumps(history))


def open_storage(url: str) -> Any:
    """Return Optuna's storage at `url`; SQLite is put into WAL mode, once, unless it can only be read.

    Several may open a new database at the same moment.
    """
    from sqlalchemy.exc import DBAPIError

    check_storage(url)
    if apart := read_only_url(url):
        with storage_errors(url):
            return _open(apart)
    with storage_errors(url), alone(url):
        write_ahead(url)
        for pause in RETRY_SECONDS:
            try:
                return _open(url)
            except DBAPIError as error:
                # What a server says of a statement can come of another that makes the same tables now.
                if error.statement is None or sqlite_file(url) is not None:
                    raise
                time.sleep(pause)
        return _open(url)


def _open(url: str) -> Any:
    return optuna.storages.RDBStorage(
        url.replace("{", "{{").replace("}", "}}"), engine_kwargs=engine_options(url)
    )


def stored_studies(url: str) -> list[str]:
    """Return the names of all stored studies, without their confirmations."""
    with storage_errors(url):
        return sorted(n for n in optuna.study.get_all_study_names(open_storage(url)) if "/" not in n)


def stored_trials(url: str, name: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return objectives (name -> direction) and the trials as plain dicts, by number."""
    with storage_errors(url):
        study = optuna.load_study(study_name=name, storage=open_storage(url))
        definition, stored = study.user_attrs.get(DEFINITION), study.get_trials(deepcopy=False)
    if definition is None:
        raise ConfigError(
            f"expected a study of this program, got '{name}' in {redact(url)}, which another program made, "
            "or whose first start was cut off; run a study file of that name, or choose another"
        )
    trials = []
    for trial in stored:
        if trial.state == State.WAITING or "duplicate_of" in trial.user_attrs:
            continue
        state = {State.COMPLETE: "complete", State.RUNNING: "running"}.get(trial.state, "failed")
        if state == "complete" and was_screened(trial.user_attrs.get("result", {})):
            state = "screened"
        trials.append(
            {
                "number": trial.number,
                "state": state,
                "params": trial.params,
                "values": trial.values,
                "violations": dict(trial.constraints),
                "result": trial.user_attrs.get("result", {}),
                "started": _iso(trial.datetime_start),
                "finished": _iso(trial.datetime_complete),
            }
        )
    return definition.get("objectives", {}), trials


def stored_notes(url: str, name: str) -> dict[str, Any]:
    """Return what is kept with a study, by attribute: `DEFINITION`, `CONTROLS` and others."""
    with storage_errors(url):
        return dict(optuna.load_study(study_name=name, storage=open_storage(url)).user_attrs)


def lacks_controls(notes: Mapping[str, Any], options: Mapping[str, Any] | None) -> bool:
    """Return whether the controls of `options`, None for no controls, are not among the notes of a study."""
    return options is not None and (notes.get(CONTROLS) or {}).get("options") != options


def write_note(url: str, name: str, attribute: str, value: Any) -> None:
    """Keep `value`, JSON-ready, with the stored study `name` under `attribute`."""
    with storage_errors(url):
        optuna.load_study(study_name=name, storage=open_storage(url)).set_user_attr(attribute, value)


def was_screened(result: Mapping[str, Any]) -> bool:
    """Return whether a trial's long attack was skipped. It counts as tried, and is on no front: a sampler is
    told its short attack's figure, with which it is dominated or infeasible as surely as with the long one's.
    """
    return bool((result.get("screening") or {}).get("reason"))


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
