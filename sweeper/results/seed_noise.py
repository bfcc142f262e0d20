"""Noise of training seeds of a stored study: read, pooled, and put into the intervals of its trials.

Stored results hold intervals over people, restarts and test images. Those of a mean over several seeds hold
seeds as well, and stay as they are; all others get the pooled noise when the study is read.
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
            f"seeds, whose noise is pooled, with {freedom}; a mean over several seeds has the noise of its "
            "own, and other figures of one seed have none"
        ),
    )


def _with_noise(trial: TrialRecord, noise: PooledNoise, people: int) -> TrialRecord:
    if trial.confirmed is not None and len(trial.confirmed.replicates) < 2:
        trial = replace(trial, confirmed=_wider(trial.confirmed, noise, people))
    return trial if len(trial.replicates) > 1 else _wider(trial, noise, people)


def _wider(holder: Holder, noise: PooledNoise, people: int) -> Holder:
    """Return a trial, or its fresh figures, of one seed with that seed's noise in its intervals."""
    interval = _intervals(holder.values, holder.interval, noise, people)
    attacks = {name: _of_attack(figures, noise, people) for name, figures in (holder.attacks or {}).items()}
    return replace(holder, interval=interval, attacks=attacks or holder.attacks)


def _intervals(
    values: Values, interval: Mapping[str, Ends], noise: PooledNoise, people: int
) -> dict[str, Ends]:
    wider = dict(interval)
    rate, accuracy = (values.get(name) for name in NEEDED)
    if rate is not None and wider.get("attack_accuracy"):
        wider["attack_accuracy"] = [*noise.around_rate(rate, wider["attack_accuracy"], people=people)]
    if accuracy is not None and wider.get("test_accuracy"):
        wider["test_accuracy"] = [*noise.around_accuracy(accuracy, wider["test_accuracy"])]
    return wider


def _of_attack(figures: AttackFigures, noise: PooledNoise, people: int) -> AttackFigures:
    rate = figures.get("metrics", {}).get("attack_accuracy_top1")
    if rate is None or not figures.get("interval"):
        return figures
    low, high = noise.around_rate(rate, figures["interval"], people=people)
    return {**figures, "interval": [low, high]}
