"""Measure the front again: its members and those near it, under fresh seeds and, if wanted, more attacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweeper.engine.collect import collect
from sweeper.engine.freshness import changes, check_fresh, usual
from sweeper.engine.machines.cluster import allot, cluster
from sweeper.engine.machines.niceness import niceness, workers_start_at_zero
from sweeper.engine.people import others
from sweeper.engine.progress import Display, Silent
from sweeper.engine.runner import Run, run_trials
from sweeper.engine.sources import check_confirmable
from sweeper.engine.sweep import check_machines, full_disk
from sweeper.results.one_data import check_one_data
from sweeper.results.record_types import StudyRecords
from sweeper.results.records import study_records
from sweeper.search.confirmation_log import Confirmation, Item
from sweeper.statistics.pareto import non_dominated
from sweeper.storage.home import Home
from sweeper.study.study import Study
from trainables.errors import ConfigError
from trainables.storage.strict_yaml import parse_yaml

SEEDS = 3
STEPS = 20  # how finely the distance of a trial to the front is looked at


@dataclass(frozen=True)
class Confirmed:
    """Result of a confirmation. measured: fresh measurements so far, of `planned`. left_out: see `near`."""

    records: StudyRecords
    measured: int
    planned: int
    left_out: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def confirm(
    study: Study,
    home: Home,
    *,
    seeds: int | None = None,
    attacks: Sequence[Mapping[str, Any]] = (),
    near: int | None = None,
    fresh: Sequence[str] | None = None,
    run: Run | None = None,
    address: str | None = None,
    display: Display | None = None,
) -> Confirmed:
    """Measure the front's members, and the nearest to it, until each has `seeds` fresh measurements.

    A search that attacked some people by chance is confirmed on the others.

    fresh: what is measured anew, of `freshness.FRESH`; None is `freshness.usual`. Fresh seeds are the
    replicate numbers after those of the search, the same for all trials; None are `SEEDS`. attacks: further
    attacks, as documents; each trial then meets its own and these, and its ``suite`` decides what counts.
    near: how many trials beside the front, at most as many as are on it if None. run: what runs a trial.
    Started again it goes on; asked for more seeds it adds them. Raises as `sweep` does.
    """
    display = display or Silent()
    with home.driver(study.name) as held, full_disk(home):
        check_machines(home, address)
        check_confirmable(study, home)
        records = study_records(home, study.name, history=False)
        study = study.as_begun(records.definition)
        fresh = [*(usual(study) if fresh is None else fresh), *(["people"] if others(study) else [])]
        items, left_out = planned(study, records, seeds=seeds, attacks=attacks, near=near, fresh=fresh)
        if run is None:
            check(items, fresh)
        source = Confirmation(study, home.storage, items, [dict(attack) for attack in attacks], fresh)
        if not source.finished:
            display.say("starting Ray" if address is None else f"connecting to Ray at {address}")
            nice = niceness(study.resources, address)
            with workers_start_at_zero(), cluster(address) as nodes:
                allotment = allot(study.resources, nodes)
                run_trials(study, home, source, allotment, display, run, held=held, niceness=nice)
        records = study_records(home, study.name)
        collect(records, home.store)
        from sweeper.report.report import write_report

        write_report([records], home.report(study.name), images=study.tracking.images)
        return Confirmed(records, source.complete, source.budget, left_out, source.failures)


def planned(
    study: Study,
    records: StudyRecords,
    *,
    seeds: int | None = None,
    attacks: Sequence[Mapping[str, Any]] = (),
    near: int | None = None,
    fresh: Sequence[str] = ("seeds",),
) -> tuple[list[Item], list[int]]:
    """Return what to measure, the first seed of every trial first, and the near trials that are left out.

    Without fresh seeds a trial is measured once, under the first seed of the search. Raises `ConfigError`
    where there is no front, where seeds are searched over, or if `seeds` counts seeds that are not fresh.
    """
    check_one_data(records)
    if seeds is not None and "seeds" not in fresh:
        raise ConfigError(
            f"training seeds stay as they were in the search, so {seeds} of them cannot be counted (--seeds, "
            f"--fresh {','.join(fresh)}); leave --seeds out, or add seeds to --fresh"
        )
    trials = {trial.number: trial for trial in records.trials}
    members = [trial.number for trial in records.members]
    if not members:
        raise ConfigError(f"confirm needs a front, and study '{study.name}' has no finished trial on one yet")
    close = near_front(records)
    count = len(members) if near is None else near
    first, number = study.trial.get("replicate", 0), 1
    if "seeds" in fresh:
        first, number = first + study.search.replicates, seeds or SEEDS
    changed = changes(study, fresh) | ({"attacked": others(study)} if "people" in fresh else {})
    items = []
    for trial in [*members, *close[:count]]:
        params = dict(trials[trial].params)
        if "seeds" in fresh and "replicate" in params:
            raise ConfigError("confirm needs fresh seeds, and this study searches over 'replicate'")
        document = {**study.document(params), **changed}
        if attacks:
            own = document["attack"]
            document["attack"] = [*(own if isinstance(own, list) else [own]), *map(dict, attacks)]
        items += [
            Item(trial, replicate, {**document, "replicate": replicate}, params, changed)
            for replicate in range(first, first + number)
        ]
    return sorted(items, key=lambda item: item.replicate), close[count:]


def near_front(records: StudyRecords) -> list[int]:
    """Return the trials that are not on the front but could be within their intervals, the nearest first.

    A trial could be if it is not dominated at the good ends of its intervals by what the front measured. The
    nearest need the smallest part of the way there. Objectives without an interval stay as measured. Figures
    are those that the search saw.
    """
    directions = list(records.objectives.values())
    sought = list(records.searched or records.objectives)
    front = [records.searched_values(trial) for trial in records.members]
    distances: list[tuple[float, int]] = []
    for trial in records.complete:
        if trial.on_front or not trial.feasible:
            continue
        at = np.array(records.searched_values(trial))
        good = np.array(
            [
                (trial.interval.get(name) or (at[i], at[i]))[direction == "maximize"]
                for i, (name, direction) in enumerate(zip(sought, directions, strict=True))
            ]
        )
        for step in range(1, STEPS + 1):
            moved = at + (good - at) * step / STEPS
            if non_dominated([*front, moved], directions)[-1]:
                distances.append((step / STEPS, trial.number))
                break
    return [number for _, number in sorted(distances)]


def check(items: Sequence[Item], fresh: Sequence[str] = ("seeds",)) -> None:
    """Raise `ConfigError` unless every document is a trial in which all can be fresh; before any work."""
    from trainables.config import load_trial

    for member in {item.member: item for item in items}.values():
        config = load_trial(member.document, f"confirm: trial {member.member}")
    check_fresh(config, fresh)


def parse_attacks(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return attacks of the command line as documents: ``kedmi``, ``kedmi:cpu`` or ``{kind: kedmi, ...}``.

    What follows the colon is a preset of the attack. Commas separate several without knobs.
    """
    return [
        _attack(part, text)
        for text in texts
        for part in ([text] if text.lstrip().startswith("{") else text.split(","))
    ]


def _attack(text: str, argument: str) -> dict[str, Any]:
    try:
        given = parse_yaml(text, "--attacks")
    except ConfigError:
        given = None
    if isinstance(given, dict) and "kind" in given:
        return given
    if isinstance(given, str) and given:
        kind, colon, preset = given.partition(":")
        return {"kind": kind, "preset": preset} if colon else {"kind": kind}
    raise ConfigError(
        f"an attack must be its name, name:preset, or a mapping with its kind, as in "
        f"'{{kind: gmi, iterations: 300}}'; got {argument!r} (--attacks)"
    )
