"""Check, before any work, that a study goes on as it began, and over the data that it began with."""

from collections.abc import Mapping
from typing import Any

from sweeper.engine.people import begun_definition
from sweeper.search.definition import changes, refuse_changes
from sweeper.search.reading import SOURCES, stored_notes, stored_trials
from sweeper.storage.home import Home
from sweeper.study.sources import Sources, differences, missing, moved, refuse, study_sources
from sweeper.study.study import Study

DIGESTS = ".digests"  # in a home; the store holds finished work alone
KEYS = {"private": "private data", "public": "public data"}


def current_sources(study: Study, home: Home) -> Sources:
    """Return what lies behind the study's paths now; digests are remembered in the home."""
    return study_sources(study, home.root / DIGESTS)


def check_begun(study: Study, home: Home) -> None:
    """Raise the `ConfigError` with which a start would refuse `study`, begun in the home as another."""
    began = begun_definition(study, home)
    if began is None:
        return
    notes, sources = stored_notes(home.storage, study.name), current_sources(study, home)
    stored = notes.get(SOURCES) or {}
    refuse_changes(study.name, changes(began, study.definition(), same=moved(stored, sources)))
    _, trials = stored_trials(home.storage, study.name)
    finished = sum(trial["state"] in ("complete", "screened") for trial in trials) >= study.budget
    if not (finished and missing(sources)):
        refuse(study.name, differences(stored, sources))
    if not finished and SOURCES not in notes:  # begun by an older version
        check_trials(study, home, sources)


def check_confirmable(study: Study, home: Home) -> None:
    """Raise `ConfigError` unless the data of the stored study `study` are what they were."""
    sources = current_sources(study, home)
    stored = stored_notes(home.storage, study.name).get(SOURCES)
    if stored is None:
        check_trials(study, home, sources)
    else:
        refuse(study.name, differences(stored, sources))


def check_trials(study: Study, home: Home, sources: Sources) -> None:
    """Raise `ConfigError` if the finished trials of a study without recorded sources have other data.

    The first that noted the content keys of its images is held against the images that its document names
    now: they are read, once in the life of an older study.
    """
    if not sources:
        return
    _, trials = stored_trials(home.storage, study.name)
    for trial in trials:
        result = trial["result"] or {}
        if trial["state"] == "complete" and result.get("data"):
            params = result.get("params", trial["params"])
            refuse(study.name, _other_keys(study, params, result["data"], trial["number"]))
            return


def _other_keys(study: Study, params: Mapping[str, Any], keys: Mapping[str, str], number: int) -> list[str]:
    from trainables.config import load_trial
    from trainables.stages.data import load_data

    config = load_trial(study.document(params))
    data = load_data(config)
    # Trials noted the key of the images alone before the parts and names of a data set counted.
    current = {"private": {data.private_key, data.images_key}, "public": {data.public_key}}
    parts = (data.split.train, data.split.validation, data.split.test)
    counts = {"private": sum(map(len, parts)), "public": len(data.public)}
    return [
        f"{name} ({role}): trial {number} was made of others (fingerprint {keys[role][:8]}) than the "
        f"{counts[role]} images that are there now (fingerprint {sorted(current[role])[0][:8]})"
        for role, name in KEYS.items()
        if role in keys and keys[role] not in current[role]
    ]
