"""Noise of training seeds of a stored study: read, pooled, and put into the intervals of its trials.

Stored results hold intervals over people, restarts and test images; those of a mean over several seeds hold
its own seeds as well. Two or three seeds say little of how they spread, so that such a mean would look less
sure than one seed with the pooled noise: when the study is read both get the pooled one, of a mean over r
seeds divided by the root of r, beside what people, restarts and images alone leave.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sweeper.results import formatting
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import AttackFigures, Ends, TrialConfirmation, TrialRecord
from sweeper.statistics.seed_noise import PooledNoise, pooled

NEEDED = ("attack_accuracy", "test_accuracy")
PENDING = "intervals without training seeds: noise replicates not finished"
WITHOUT = "intervals without training seeds: the study has no noise replicates"

Values = Mapping[str, float]
Holder = TypeVar("Holder", TrialRecord, TrialConfirmation)


def pooled_noise(
    trials: Sequence[TrialRecord], stored: Mapping[str, Any] | None, people: int
) -> PooledNoise | None:
    """Return the noise of training seeds of a study's `trials`; None where no trial ran under several.

    stored: the study's noise replicates (`sweeper.search.reading.NOISE`). people: how many were attacked.
    """
    groups = []
    for trial in trials:
        seeds = max(_groups(trial, (stored or {}).get("results") or ()), key=len)
        known = [values for values in seeds if all(name in values for name in NEEDED)]
        groups.append(tuple([values[name] for values in known] for name in NEEDED))
    return pooled([(rates, accuracies) for rates, accuracies in groups if rates], people)


def _groups(trial: TrialRecord, results: Sequence[Mapping[str, Any]]) -> list[list[Values]]:
    """Return the figures of a trial's seeds, as the search, its noise replicates and fresh seeds gave them.

    Noise replicates and fresh seeds may be the same runs, so that only one of the groups may count.
    """
    again = [result["values"] for result in results if result["member"] == trial.number]
    groups = [
        [replicate.values for replicate in trial.replicates],
        [trial.values, *again] if again and trial.complete else [],
    ]
    if trial.confirmed is not None:
        groups.append([replicate.values for replicate in trial.confirmed.replicates])
    return groups


def with_seed_noise(records: StudyRecords, stored: Mapping[str, Any] | None) -> StudyRecords:
    """Return `records` with the noise of training seeds, in the intervals too, or with what these lack."""
    people = max((trial.people["attacked"] for trial in records.trials if trial.people), default=0)
    noise = pooled_noise(records.trials, stored, people) if people else None
    if noise is None:
        return replace(records, interval_holds=WITHOUT if stored is None else PENDING)
    freedom = f"{noise.freedom} {formatting.plural('degree', noise.freedom)} of freedom"
    return replace(
        records,
        trials=tuple(_with_noise(trial, noise, people) for trial in records.trials),
        seed_noise=noise,
        interval_holds=(
            "intervals of attack and test accuracy hold people and restarts or test images, and training "
            f"seeds, whose noise is pooled, with {freedom}; of other figures a mean over several seeds has "
            "the noise of its own, and one seed has none"
        ),
    )


def _with_noise(trial: TrialRecord, noise: PooledNoise, people: int) -> TrialRecord:
    if trial.confirmed is not None:
        trial = replace(trial, confirmed=_wider(trial.confirmed, noise, people))
    return _wider(trial, noise, people)


def _wider(holder: Holder, noise: PooledNoise, people: int) -> Holder:
    """Return a trial, or its fresh figures, with the pooled noise of its seeds in its intervals."""
    seeds = max(1, len(holder.replicates))
    without = holder.interval if seeds < 2 else {name: _of_one(holder, name) for name in NEEDED}
    wider = _intervals(holder.values, without, noise, people, seeds)
    interval = {**holder.interval, **{name: ends for name, ends in wider.items() if ends}}
    if seeds > 1:  # the store does not have single attacks seed by seed
        return replace(holder, interval=interval)
    attacks = {name: _of_attack(figures, noise, people) for name, figures in (holder.attacks or {}).items()}
    return replace(holder, interval=interval, attacks=attacks or holder.attacks)


def _of_one(holder: TrialRecord | TrialConfirmation, name: str) -> Ends | None:
    """Return the interval of a mean over seeds without their noise, which is as wide as those of the seeds on
    average: all attack the same people. None where a seed has none."""
    value, seeds = holder.values.get(name), holder.replicates
    rows = [(seed.values.get(name), seed.interval.get(name)) for seed in seeds]
    margins = [(own - ends[0], ends[1] - own) for own, ends in rows if own is not None and ends]
    if value is None or len(margins) < len(rows):
        return None
    below, above = (sum(ends) / len(ends) for ends in zip(*margins, strict=True))
    return [max(0.0, value - below), min(1.0, value + above)]


def _intervals(
    values: Values, interval: Mapping[str, Ends | None], noise: PooledNoise, people: int, seeds: int
) -> dict[str, Ends | None]:
    wider = dict(interval)
    rate, accuracy = (values.get(name) for name in NEEDED)
    if rate is not None and (ends := wider.get("attack_accuracy")):
        wider["attack_accuracy"] = [*noise.around_rate(rate, ends, people=people, seeds=seeds)]
    if accuracy is not None and (ends := wider.get("test_accuracy")):
        wider["test_accuracy"] = [*noise.around_accuracy(accuracy, ends, seeds=seeds)]
    return wider


def _of_attack(figures: AttackFigures, noise: PooledNoise, people: int) -> AttackFigures:
    rate = figures.get("metrics", {}).get("attack_accuracy_top1")
    if rate is None or not figures.get("interval"):
        return figures
    low, high = noise.around_rate(rate, figures["interval"], people=people)
    return {**figures, "interval": [low, high]}
