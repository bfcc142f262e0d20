"""Sources of a study: what lies behind the paths that its trials name, and what has changed of it."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from search_spaces.domains import Choice, Domain, Ordered, Rows, Switch
from sweeper.study.study import Study
from trainables.errors import ConfigError

Source = Mapping[str, Any]  # fields of a `trainables.stages.sources.Source`
Sources = Mapping[str, list[dict[str, Any]]]  # knob -> what lies behind each value that it takes

READING = ("private", "public", "pretraining", "prior", "attack", "judge")  # parts of a trial that name files
NAMES = {"private": "private data", "public": "public data", "pretraining": "pre-training data"}


def study_sources(study: Study, memory: Path | None = None) -> Sources:
    """Return what the study's template names, and each value that its space sets in those parts; JSON-ready.

    Values are taken one at a time, so a path that only two searched values together name is not among them.
    memory: a folder in which digests are remembered. {} for a study whose template is no trial.
    """
    from trainables.config import load_trial
    from trainables.stages.sources import named_files, source
    from trainables.storage.documents import merge

    collected: dict[str, dict[str, dict[str, Any]]] = {}
    for assignment in ({}, *_values(study.domains)):
        try:
            config = load_trial(merge(study.trial, assignment))
        except ConfigError:  # a value that makes sense beside others alone; the template is checked elsewhere
            continue
        for knob, holder, value in named_files(config):
            values = collected.setdefault(knob, {})
            if value not in values:
                values[value] = dataclasses.asdict(source(holder, value, memory))
    return {knob: list(values.values()) for knob, values in collected.items()}


def _values(space: Mapping[str, Domain]) -> Iterator[dict[str, Any]]:
    """Yield what each value of the parts that name files sets in a trial."""
    for path, domain in space.items():
        match domain:
            case Choice() | Ordered() if path.partition(".")[0] in READING:
                yield from ({path: value} for value in domain.values)
            case Rows():
                yield from (dict(row) for row in domain.rows if _reads(row))
            case Switch():
                for branch in domain.branches.values():
                    if _reads(branch.fixed):
                        yield dict(branch.fixed)
                    yield from ({**branch.fixed, **inner} for inner in _values(branch.space))


def _reads(assignment: Mapping[str, Any]) -> bool:
    return any(path.partition(".")[0] in READING for path in assignment)


def differences(stored: Sources, current: Sources) -> list[str]:
    """Return a text for each source that is not what was recorded; what was not recorded does not count."""
    return [
        f"{_name(knob)}: recorded {_shown(before)}, now {_shown(after)}"
        for knob, before, after in _pairs(stored, current)
        if before["fingerprint"] != after["fingerprint"]
    ]


def moved(stored: Sources, current: Sources) -> set[str]:
    """Return the knobs that name another path, where the same lies."""
    return {
        knob
        for knob, before, after in _pairs(stored, current)
        if before["value"] != after["value"] and before["fingerprint"] == after["fingerprint"]
    }


def missing(current: Sources) -> bool:
    """Return whether nothing lies behind one of the paths."""
    return any(source["fingerprint"] is None for values in current.values() for source in values)


def _pairs(stored: Sources, current: Sources) -> Iterator[tuple[str, Source, Source]]:
    """Yield (knob, what was recorded, what is there) of each value in both, or of the only one of each."""
    for knob in stored.keys() & current.keys():
        before = {source["value"]: source for source in stored[knob] if source["fingerprint"] is not None}
        after = {source["value"]: source for source in current[knob]}
        if len(before) == len(after) == 1:
            after = dict(zip(before, after.values(), strict=True))
        yield from ((knob, source, after[value]) for value, source in before.items() if value in after)


def _name(knob: str) -> str:
    return f"{NAMES.get(knob.partition('.')[0], knob.partition('.')[0])} ({knob})"


def _shown(source: Source) -> str:
    if source["fingerprint"] is None:
        return f"nothing at {source['path']}"
    if source["people"] is None:
        return f"{source['path']} (fingerprint {source['fingerprint'][:8]})"
    return (
        f"{source['people']} people with {source['images']} images in {source['path']} "
        f"(fingerprint {source['fingerprint'][:8]})"
    )


def refuse(name: str, texts: list[str]) -> None:
    """Raise `ConfigError` if the sources of the study `name` are not what they were."""
    if texts:
        raise ConfigError(
            f"study '{name}' must keep its data, or its trials would be of different people; "
            f"{'; '.join(texts)}; restore what was there, or give the study another name (-S name=...)"
        )
