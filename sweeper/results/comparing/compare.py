"""Fronts of several studies, and published points, set against each other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from sweeper.results import formatting
from sweeper.results.comparing.comparison_types import (
    Attained,
    AttainedEstimate,
    AttainmentLevel,
    ComparedPair,
    ComparedStudy,
    FrontComparison,
    FrontCrossing,
    LevelRange,
    PublishedSetup,
    VolumeEstimate,
)
from sweeper.results.comparing.conclusion import conclusion
from sweeper.results.comparing.conditions import check_setups
from sweeper.results.comparing.fronts import counted, eligible, finished, front, values
from sweeper.results.comparing.notes import interval_notes
from sweeper.results.comparing.published import PublishedRecords, departures, doubts
from sweeper.results.comparing.resample import (
    FittedStudy,
    Redraw,
    cross_fitted,
    fitted_attained,
    fitted_lead,
    fitted_volume,
    redraw,
)
from sweeper.results.machines import studies_warning
from sweeper.results.one_data import check_one_data
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord
from sweeper.statistics.attainment import attained, crossings, ranges
from sweeper.statistics.bootstrap import Floats, Redrawn, estimates, hypervolumes
from sweeper.statistics.hypervolume import growth, hypervolume, volume_after
from sweeper.statistics.pareto import dominated_share
from sweeper.statistics.round_numbers import round_values
from sweeper.study.objectives import bound
from trainables.errors import ConfigError

LEVELS = 9  # at most so many levels at which studies are compared


def shared_reference(records: Sequence[StudyRecords]) -> dict[str, float]:
    """Return one reference point: for each objective the worst that any study names, or that there can be.

    Where no trial finished there may be neither, and any number will do: each volume is 0.
    """
    shared: dict[str, float] = {}
    for name, direction in records[0].objectives.items():
        named = [float(r.reference_point[name]) for r in records if name in r.reference_point]
        worst = bound(name, direction)
        if worst is not None:
            named.append(worst)
        if not named and not any(map(finished, records)):
            named.append(0.0)
        if not named:
            raise ConfigError(
                f"a hypervolume needs a reference point for every objective; got none for '{name}' "
                f"in study '{records[0].study}'"
            )
        shared[name] = min(named) if direction == "maximize" else max(named)
    return shared


def check_comparable(records: Sequence[StudyRecords]) -> None:
    """Raise `ConfigError` unless there are studies, under different names, with the same objectives."""
    if not records:
        raise ConfigError("compare expects at least one study; got none")
    names = [record.study for record in records]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise ConfigError(f"compare expects different studies; got '{doubles[0]}' more than once")
    first = records[0]
    for record in records[1:]:
        if dict(record.objectives) != dict(first.objectives):
            raise ConfigError(
                f"studies compare only under the same objectives; '{first.study}' has "
                f"{_written(first.objectives)}, '{record.study}' has {_written(record.objectives)}"
            )


def _written(objectives: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {direction}" for name, direction in objectives.items())


def compare(
    records: Sequence[StudyRecords], *, published: Sequence[PublishedRecords] = (), force: bool = False
) -> FrontComparison:
    """Return how the fronts of `records`, and the points of `published`, relate.

    Raises `ConfigError` for studies under other objectives or under one name, and, unless `force`, for
    studies that were not measured on the same data, by the same judge, under the same attacks.
    """
    check_comparable(records)
    for record in records:
        check_one_data(record)
    notes = check_setups(records, force=force)
    objectives = records[0].objectives
    # Columns in one order: two studies may list the same objectives differently.
    records = [replace(record, objectives=objectives) for record in records]
    _check_published(published, objectives)
    reference = shared_reference([*records, *published])
    corner = [reference[name] for name in objectives]
    directions = list(objectives.values())
    fitted = cross_fitted(
        [eligible(r) for r in records],
        objectives,
        reference,
        paired=not notes,
        noises=[r.seed_noise for r in records],
    )
    drawn: list[Redraw | None] = [None] * len(records)
    # At levels of test accuracy the halves of `fitted` say what is attained.
    if fitted is None or next(iter(objectives)) != "test_accuracy":
        # The same identities for all studies, unless they were not measured on the same ones.
        drawn = [
            redraw(eligible(record), list(objectives), seed=number if notes else 0, noise=record.seed_noise)
            for number, record in enumerate(records)
        ]
    volumes: list[Redraw | None] = [None] * len(records)
    if fitted is None:
        volumes = [None if again is None else _volumes(again, directions, corner) for again in drawn]
    tables = {record.study: values(record) for record in records}
    comparison = FrontComparison(
        reference_point=reference,
        studies=_studies(
            records,
            tables,
            [_estimate([again]) for again in volumes] if fitted is None else [*map(fitted_volume, fitted)],
            directions,
            corner,
        ),
        dominated={
            a: {b: dominated_share(tables[a], tables[b], directions) for b in tables if b != a}
            for a in tables
        },
        pairs=[
            _pair(
                records[i],
                records[j],
                tables,
                _estimate([volumes[i], volumes[j]]) if fitted is None else fitted_lead(fitted[i], fitted[j]),
                directions,
                corner,
            )
            for i, j in combinations(range(len(records)), 2)
        ],
        attainment=_attainment(records, drawn, fitted),
        published=[_published(setup, records, directions, corner) for setup in published],
    )
    notes += interval_notes(records, fitted, drawn)
    notes += studies_warning(records)
    notes += _chosen_by_test(records)
    warnings = {record.study: formatting.warnings(record.trials) for record in records}
    return replace(comparison, outcome=conclusion(comparison), notes=notes, warnings=warnings)


def _studies(
    records: Sequence[StudyRecords],
    tables: Mapping[str, Floats],
    estimated: Sequence[VolumeEstimate | None],
    directions: Sequence[str],
    corner: Sequence[float],
) -> list[ComparedStudy]:
    """Return the figures of each study by itself, and its hypervolume after as much work as the least had."""
    steps = [
        growth(
            record.trials,
            {trial.number for trial in eligible(record)},
            record.objectives,
            corner,
            by=record.choosing(),
        )
        for record in records
    ]
    least = min((done[-1].seconds for done in steps if done), default=0.0)
    studies = []
    for record, estimate, done in zip(records, estimated, steps, strict=True):
        seconds = done[-1].seconds if done else 0.0
        volume = hypervolume(tables[record.study], directions, corner)
        studies.append(
            ComparedStudy(
                study=record.study,
                hypervolume=volume,
                front=front(record),
                trials=len(finished(record)),
                estimate=estimate,
                seconds=seconds,
                per_hour=volume / (seconds / 3600) if seconds else None,
                at_equal_work=volume_after(done, least),
                confirmed=record.confirmed,
            )
        )
    return studies


def _chosen_by_test(records: Sequence[StudyRecords]) -> list[str]:
    """Return which fronts were chosen by test accuracy, where others were by validation accuracy."""
    if len({record.on_validation for record in records if record.complete}) < 2:
        return []
    names = ", ".join(f"'{record.study}'" for record in records if not record.on_validation)
    return [f"chosen by test accuracy, so that its hypervolume is too high: the front of {names}"]


def _volumes(again: Redraw, directions: Sequence[str], corner: Sequence[float]) -> Redraw:
    """Return the hypervolumes of all that was drawn of a study: each is used alone and in every pair."""
    drawn = again.tables
    measured = hypervolumes(drawn.measured[None], directions, corner)[0]
    once, twice = (hypervolumes(tables, directions, corner) for tables in (drawn.once, drawn.twice))
    unseen = None if drawn.unseen is None else hypervolumes(drawn.unseen[None], directions, corner)[0]
    return Redraw(Redrawn(np.asarray(measured), once, twice, unseen), again.basis)


def _estimate(volumes: Sequence[Redraw | None]) -> VolumeEstimate | None:
    """Return the hypervolume of one study, or the first one's lead over the second, with its interval."""
    known = [again for again in volumes if again is not None]
    if len(known) < len(volumes):
        return None
    (estimate,) = estimates(
        [again.tables for again in known], lambda first, *second: first - second[0] if second else first
    )
    least = -math.inf if len(known) > 1 else 0.0  # a lead may be negative, a volume not
    return VolumeEstimate(
        value=max(least, estimate.corrected),
        interval=(max(least, estimate.low), estimate.high),
        basis=" against ".join(dict.fromkeys(again.basis for again in known)),
    )


def _pair(
    a: StudyRecords,
    b: StudyRecords,
    tables: Mapping[str, Floats],
    estimate: VolumeEstimate | None,
    directions: Sequence[str],
    corner: Sequence[float],
) -> ComparedPair:
    names = (a.study, b.study)
    volumes = [hypervolume(tables[name], directions, corner) for name in names]
    pair = ComparedPair(studies=names, difference=volumes[0] - volumes[1], estimate=estimate)
    if len(directions) != 2:
        return pair
    which = {"first": names[0], "second": names[1], "neither": None}
    parts = ranges(tables[names[0]], tables[names[1]], directions, corner[0])
    return replace(
        pair,
        ranges=[
            LevelRange(low=part.low, high=part.high, better=which[part.better], both=part.both)
            for part in parts
        ],
        crossings=[
            FrontCrossing(level=crossing.level, up_to=which[crossing.up_to], beyond=which[crossing.beyond])
            for crossing in crossings(parts)
        ],
    )


def _attainment(
    records: Sequence[StudyRecords],
    drawn: Sequence[Redraw | None],
    fitted: Sequence[FittedStudy] | None,
) -> list[AttainmentLevel]:
    """Return what each study attains in the attack (or last) objective at round levels of the first one."""
    objectives = records[0].objectives
    names = list(objectives)
    if len(names) < 2:
        return []
    given, other = names[0], "attack_accuracy" if "attack_accuracy" in names[1:] else names[-1]
    columns = [names.index(given), names.index(other)]
    directions = [objectives[given], objectives[other]]
    reached = [trial.values[given] for record in records for trial in front(record)]
    if not reached:
        return []
    levels = round_values(min(reached), max(reached), LEVELS)
    estimated = [
        _drawn_again(again, columns, directions, levels)
        if fitted is None or given != "test_accuracy"
        else fitted_attained(fitted[number], levels)
        for number, again in enumerate(drawn)
    ]
    attained_by = {
        record.study: _attained_by(record, spread, columns, directions, levels, other)
        for record, spread in zip(records, estimated, strict=True)
    }
    return [
        AttainmentLevel(
            given=given,
            level=level,
            attained=other,
            reached={study: best[place] for study, best in attained_by.items()},
        )
        for place, level in enumerate(levels)
    ]


def _attained_by(
    record: StudyRecords,
    spread: Sequence[AttainedEstimate | None],
    columns: Sequence[int],
    directions: Sequence[str],
    levels: Sequence[float],
    name: str,
) -> list[Attained | None]:
    """Return what a study attains in the objective `name`, the second of `columns`, at each of `levels`."""
    trials = counted(record)
    best, rows = attained(values(record)[:, columns], directions, levels)
    return [
        None
        if row < 0
        else Attained(
            value=float(value),
            interval=_own(trials[row], name),
            trial=trials[row].number,
            estimate=None if estimate is None else _within(estimate, name),
        )
        for value, row, estimate in zip(best, rows, spread, strict=True)
    ]


def _drawn_again(
    again: Redraw | None, columns: Sequence[int], directions: Sequence[str], levels: Sequence[float]
) -> list[AttainedEstimate | None]:
    """Return what a study attains at each of `levels`, the luck of the choice taken off."""
    if again is None:
        return [None] * len(levels)
    drawn = estimates([again.tables], lambda t: _attained(t[:, :, columns], directions, levels))
    return [
        AttainedEstimate(value=estimate.corrected, interval=(estimate.low, estimate.high))
        for estimate in drawn
    ]


def _attained(tables: Floats, directions: Sequence[str], levels: Sequence[float]) -> Floats:
    """Return what each of `tables` (B, n, 2) attains at each of `levels`, float (B, k), nan where nothing."""
    up = 1 if directions[0] == "maximize" else -1
    down = -1 if directions[1] == "maximize" else 1
    lowest = [
        np.where(tables[:, :, 0] * up >= level * up, tables[:, :, 1] * down, np.inf).min(axis=1)
        for level in levels
    ]
    costs = np.stack(lowest, axis=1)
    return np.where(np.isfinite(costs), costs * down, np.nan)


def _own(trial: TrialRecord, name: str) -> tuple[float, float] | None:
    """Return the interval that a trial has for an objective, as the report and the card show it."""
    ends = trial.interval.get(name)
    return None if ends is None else (float(ends[0]), float(ends[1]))


def _within(estimate: AttainedEstimate, name: str) -> AttainedEstimate | None:
    """Return an estimate, kept inside what the objective can be; None if it has no end."""
    low, high = bound(name, "maximize"), bound(name, "minimize")
    least, most = -math.inf if low is None else low, math.inf if high is None else high
    value, *ends = (float(min(max(number, least), most)) for number in (estimate.value, *estimate.interval))
    if not all(map(math.isfinite, (value, *ends))):
        return None
    return AttainedEstimate(value=value, interval=(ends[0], ends[1]))


def _check_published(published: Sequence[StudyRecords], objectives: Mapping[str, str]) -> None:
    for record in published:
        if dict(record.objectives) != dict(objectives):
            raise ConfigError(
                f"published points have {_written(record.objectives)} alone; the studies have "
                f"{_written(objectives)}: compare them without --published"
            )


def _published(
    record: PublishedRecords,
    records: Sequence[StudyRecords],
    directions: Sequence[str],
    corner: Sequence[float],
) -> PublishedSetup:
    record = replace(record, objectives=records[0].objectives)
    return PublishedSetup(
        name=record.study,
        setup=record.setup,
        hypervolume=hypervolume(values(record), directions, corner),
        front=front(record),
        points=record.trials,
        doubts=list(doubts(record)),
        departures={study.study: departures(record.setup, study.definition) for study in records},
    )
