"""Machines that trials were computed on: said where trials stand side by side and theirs differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import Replicate, TrialRecord

Machines = Mapping[str, Mapping[str, Any] | None]  # stage -> what it was made on
Groups = Mapping[str, Mapping[int, Sequence[Machines]]]  # name -> trial -> those of each of its seeds

FIELDS = {"device": "device", "name": "processor", "threads": "threads", "torch": "version of torch"}
STAGES = ("target", "prior", "attack", "judge")
UNKNOWN = "not recorded"
SHOWN = 6  # trials that a text names


def machines_text(machine: Mapping[str, Any] | None) -> str:
    """Return a machine in words."""
    if not machine:
        return UNKNOWN
    threads = machine.get("threads")
    return (
        f"{machine.get('device')} ({machine.get('name') or 'unknown'}), {threads} "
        f"thread{'' if threads == 1 else 's'}, torch {machine.get('torch')}"
    )


def studies_warning(records: Sequence[StudyRecords]) -> list[str]:
    """Return a sentence if the finished trials of studies were computed on machines that differ, else []."""
    return _warning(
        {
            f"'{record.study}'": {
                trial.number: _of_seeds(trial, trial.replicates) for trial in record.complete
            }
            for record in records
        }
    )


def confirmation_warning(records: StudyRecords) -> list[str]:
    """Return a sentence if confirmed trials were computed on machines that differ, anew or before, or []."""
    trials = [trial for trial in records.complete if trial.confirmed]
    return _warning(
        {
            "the search": {trial.number: _of_seeds(trial, trial.replicates) for trial in trials},
            "the fresh seeds": {
                trial.number: [seed.machines for seed in trial.confirmed.replicates]
                for trial in trials
                if trial.confirmed
            },
        }
    )


def _of_seeds(trial: TrialRecord, seeds: Sequence[Replicate]) -> list[Machines]:
    return [seed.machines for seed in seeds if seed.machines] or [trial.machines]


def _warning(groups: Groups) -> list[str]:
    unknown = {
        (group, number)
        for group, trials in groups.items()
        for number, seeds in trials.items()
        if not all(machines.get("target") and machines.get("attack") for machines in seeds)
    }
    differences: dict[str, list[str]] = {}
    for field, name in FIELDS.items():
        for stage in STAGES:
            places = _places(groups, stage, field)
            if len(places) > 1:
                text = ", ".join(
                    f"{value} ({_where(groups, place)})" for value, place in sorted(places.items())
                )
                differences.setdefault(f"{name} of {{}}: {text}", []).append(stage)
    parts = [text.format(" and ".join(stages)) for text, stages in differences.items()]
    if unknown:
        parts.append(f"{UNKNOWN}: {_where(groups, unknown)}")
    text = "what trials are computed on changes figures under one seed, and "
    text += "is not the same" if differences else "is not known"
    return [f"{text}: {'; '.join(parts)}"] if parts else []


def _places(groups: Groups, stage: str, field: str) -> dict[str, set[tuple[str, int]]]:
    """Return value -> the trials, by group and number, whose `stage` was made under it."""
    places: dict[str, set[tuple[str, int]]] = {}
    for group, trials in groups.items():
        for number, seeds in trials.items():
            for machines in seeds:
                value = (machines.get(stage) or {}).get(field)
                if value is not None:
                    places.setdefault(str(value), set()).add((group, number))
    return places


def _where(groups: Groups, places: set[tuple[str, int]]) -> str:
    """Return the trials in words: a whole group by its name."""
    texts = []
    for group, trials in groups.items():
        numbers = sorted(number for name, number in places if name == group)
        if not numbers:
            continue
        if len(numbers) == len(trials):
            texts.append(group)
            continue
        more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
        listed = ", ".join(map(str, numbers[:SHOWN]))
        texts.append(f"trial{'' if len(numbers) == 1 else 's'} {listed}{more} of {group}")
    return " and ".join(texts)
