"""Trials of a study drawn again: people and images on two halves, or identities, or the trials' intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sweeper.results import formatting
from sweeper.results.comparing.comparison_types import AttainedEstimate, VolumeEstimate
from sweeper.results.seed_noise import pooled_noise
from sweeper.results.stage_files import per_identity, per_image
from sweeper.results.trial_record import TrialRecord
from sweeper.statistics.bootstrap import DRAWS, DRAWS_OF_THREE, Redrawn, by_identities, by_intervals
from sweeper.statistics.cross_fitting import (
    LEVEL,
    CrossFitted,
    Figure,
    attained_figures,
    cross_fit,
    difference_figure,
    hypervolume_figure,
    level_of_pairs,
)
from sweeper.statistics.seed_noise import PooledNoise

Floats = NDArray[np.float64]

ACCURACIES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
WORST = {"test_accuracy": 0.0, "attack_accuracy": 1.0}

# Coverage of an interval, by its basis. Those with "seeds" hold training seeds in every objective.
BASES = {
    "people and images": "front chosen on one half of people and test images, valued on the other; both "
    "drawn again, the same ones for all trials",
    "people, images and seeds": "front chosen on one half of people and test images, valued on the other; "
    "both drawn again, the same ones for all trials, and over training seeds",
    "identities": "drawn again over the attacked identities, the same ones for all trials",
    "identities and seeds": "drawn again over the attacked identities, the same ones for all trials, "
    "and over training seeds",
    "intervals": "drawn from the trials' own intervals, as if they were independent of each other",
    "intervals with seeds": "drawn from the trials' own intervals, which hold training seeds, as if they "
    "were independent of each other",
}
FITTED = ("people and images", "people, images and seeds")  # chosen on one half, valued on the other


@dataclass(frozen=True)
class Redraw:
    """The draws of a study, and on what they are based.

    Attributes:
        tables: the draws.
        basis: a key of `BASES`.
        held: what stayed as measured in all draws, in words.
        seedless: objectives that were drawn without the noise of training seeds.
    """

    tables: Redrawn
    basis: str
    held: tuple[str, ...] = ()
    seedless: tuple[str, ...] = ()


def redraw(
    trials: Sequence[TrialRecord],
    objectives: Sequence[str],
    *,
    seed: int = 0,
    noise: PooledNoise | None = None,
) -> Redraw | None:
    """Return the table of finished `trials`, columns as `objectives`, drawn again; None if nothing is known.

    Attack accuracy is drawn over identities where the store has the verdicts of every trial: draws with the
    same `seed` and number of identities are then paired. Otherwise every objective is drawn from the trials'
    intervals, as far as they have some. noise: of training seeds, if it is known; the intervals of the two
    accuracies hold it then. What has no spread stays as measured, as do all test images: see `Redraw.held`.
    """
    if not trials:
        return None
    draws = DRAWS if len(objectives) < 3 else DRAWS_OF_THREE
    table = np.array([[trial.values[name] for name in objectives] for trial in trials], dtype=np.float64)
    if "attack_accuracy" in objectives:
        rates = [rate for rate in per_identity(trials) if rate is not None]
        if len(rates) == len(trials) and len({len(rate) for rate in rates}) == 1:
            column = list(objectives).index("attack_accuracy")
            errors, seedless = seed_errors(trials, objectives), list[str]()
            if errors is None:
                seedless = [name for name in objectives if noise is None or name not in ACCURACIES]
                errors = None if noise is None else _errors_of_one_seed(table, objectives, noise)
            tables = by_identities(table, column, np.array(rates), errors, draws=draws, seed=seed)
            others = [name for name in objectives if name != "attack_accuracy"]
            held = [_held(name, "" if name in seedless else " but for training seeds") for name in others]
            return Redraw(tables, _basis("identities", seedless), tuple(held), tuple(seedless))
    ends = np.array([[_ends(trial, name) for name in objectives] for trial in trials], dtype=np.float64)
    missing = np.isnan(ends).any(axis=2).sum(axis=0)
    if (missing == len(trials)).all():
        return None
    held = [
        _held(name, "" if count == len(trials) else f" of {count} of {len(trials)} trials")
        for name, count in zip(objectives, missing, strict=True)
        if count
    ]
    seedless = [name for name in objectives if not all(_of_seeds(trial, name, noise) for trial in trials)]
    tables = by_intervals(table, ends, draws=draws, seed=seed)
    return Redraw(tables, _basis("intervals", seedless), tuple(held), tuple(seedless))


def _held(name: str, what: str) -> str:
    return f"{formatting.objective(name)}{what}"


def _basis(drawn: str, seedless: Sequence[str]) -> str:
    """Return the key of `BASES`: one objective without the noise of seeds, and the hypervolume lacks it."""
    with_seeds = {"identities": "identities and seeds", "intervals": "intervals with seeds"}
    return drawn if seedless else with_seeds[drawn]


def _of_seeds(trial: TrialRecord, name: str, noise: PooledNoise | None) -> bool:
    """Return whether the trial's interval of an objective holds training seeds: see `with_seed_noise`."""
    known = noise is not None and name in ACCURACIES
    return bool(trial.interval.get(name)) and (known or len(trial.replicates) > 1)


def cross_fits(basis: str) -> bool:
    """Return whether what stands on `basis`, a key of `BASES` or two, was valued on data that did not choose.

    Other intervals leave out 0 for 15 to 55 of 100 simulated pairs of equal recipes: they show no lead.
    """
    return all(part in FITTED for part in basis.split(" against "))


def holds_seeds(basis: str) -> bool:
    """Return whether an interval on `basis`, a key of `BASES` or two, holds the noise of training seeds."""
    return all(part.endswith("seeds") for part in basis.split(" against "))


def _ends(trial: TrialRecord, name: str) -> tuple[float, float]:
    low, high = trial.interval.get(name) or (np.nan, np.nan)
    return low, high


def seed_errors(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> Floats | None:
    """Return the standard error (m,) of each objective's mean over training seeds; None without replicates.

    Two or three seeds say little of one trial's spread, so the variance is pooled over all trials with at
    least two.
    """
    seeds = [
        np.array([[seed.values[name] for name in objectives] for seed in trial.replicates])
        for trial in trials
    ]
    several = [values for values in seeds if len(values) > 1]
    if not several:
        return None
    freedom = sum(len(values) - 1 for values in several)
    squares = np.sum([((values - values.mean(axis=0)) ** 2).sum(axis=0) for values in several], axis=0)
    count = np.mean([len(values) for values in several])
    errors: Floats = np.sqrt(squares / freedom / count)
    return errors


def _errors_of_one_seed(table: Floats, objectives: Sequence[str], noise: PooledNoise) -> Floats:
    """Return the standard errors (n, m) over training seeds of a `table` of trials of one seed each.

    Those of attack rates are turned from the probit scale by its slope there; of other objectives than the
    two accuracies nothing is known, and theirs are 0.
    """
    drawn = noise.for_draws
    errors = np.zeros_like(table)
    for column, name in enumerate(objectives):
        if name == "attack_accuracy":
            scores = ndtri(np.clip(table[:, column], 1e-3, 1 - 1e-3))
            errors[:, column] = drawn.probit * np.exp(-(scores**2) / 2) / np.sqrt(2 * np.pi)
        elif name == "test_accuracy":
            errors[:, column] = drawn.accuracy
    return errors


@dataclass(frozen=True, kw_only=True)
class FittedStudy:
    """The draws of a study on both halves, and on what they are based.

    Attributes:
        draws: on both halves.
        level: of each lead's interval, so that those of all pairs hold together with 95 %.
        basis: a key of `BASES`.
        held: nothing stays as measured.
        seedless: objectives that were drawn without the noise of training seeds.
    """

    draws: CrossFitted
    level: float
    basis: str
    held: tuple[str, ...] = ()
    seedless: tuple[str, ...] = ()


def fitted_volume(study: FittedStudy) -> VolumeEstimate | None:
    """Return the cross-fitted hypervolume of a study."""
    return _estimate(hypervolume_figure(study.draws), study.basis)


def fitted_lead(first: FittedStudy, second: FittedStudy) -> VolumeEstimate | None:
    """Return the lead of the first study in cross-fitted hypervolume, with the chance that it is above 0.

    The interval is at the level of both studies, the chance that of this pair alone.
    """
    figure = difference_figure(first.draws, second.draws, first.level)
    basis = " against ".join(dict.fromkeys((first.basis, second.basis)))
    return _estimate(figure, basis, lead=first.level)


def fitted_attained(study: FittedStudy, levels: Sequence[float]) -> list[AttainedEstimate | None]:
    """Return the attack rate that is attained at each test accuracy of `levels`, cross-fitted."""
    return [
        None if figure is None else AttainedEstimate(value=figure.value, interval=(figure.low, figure.high))
        for figure in attained_figures(study.draws, levels)
    ]


def _estimate(figure: Figure | None, basis: str, *, lead: float | None = None) -> VolumeEstimate | None:
    """Return a figure as an estimate; lead: the level of its interval if it is a difference."""
    if figure is None:
        return None
    low, high = (-1.0, 1.0) if lead else (0.0, 1.0)  # of shares
    return VolumeEstimate(
        value=figure.value,
        interval=(max(low, figure.low), min(high, figure.high)),
        level=lead or LEVEL,
        basis=basis,
        probability=figure.above if lead else None,
    )


def cross_fitted(
    studies: Sequence[Sequence[TrialRecord]],
    objectives: Mapping[str, str],
    reference: Mapping[str, float],
    *,
    paired: bool = True,
    noises: Sequence[PooledNoise | None] = (),
) -> list[FittedStudy] | None:
    """Return the finished trials of each study on two halves of people and test images, drawn again.

    paired: whether the studies were measured on the same people and images; these are then the same in the
    draws of all. noises: of training seeds, of each study, as far as they are known; what is not known is
    told by replicates, or taken from a paired study. None unless the objectives are test and attack accuracy
    against their worst, and the store has what each trial got right, of people and of images.
    """
    if dict(objectives) != ACCURACIES or dict(reference) != WORST or not all(studies):
        return None
    tables = []
    for trials in studies:
        rates, right = per_identity(trials), per_image(trials)
        people, images = _table(rates), _table(right)
        if people is None or images is None or min(people.shape[1], images.shape[1]) < 4:
            return None
        seeds = np.array([max(1, len(trial.replicates)) for trial in trials])
        tables.append((people, images, seeds))
    shapes = {(people.shape[1], images.shape[1]) for people, images, _ in tables}
    together = paired and len(shapes) == 1
    counts = [people.shape[1] for people, *_ in tables]
    shared = _shared_noise(studies, noises, counts, together)
    level = level_of_pairs(len(studies))
    return [
        FittedStudy(
            draws=cross_fit(
                people,
                images,
                noise=None if noise is None else noise.for_draws,
                seeds=seeds,
                seed=0 if together else number,
                seed_of_noise=number,
            ),
            level=level,
            basis="people and images" if noise is None else "people, images and seeds",
            seedless=tuple(objectives) if noise is None else (),
        )
        for number, ((people, images, seeds), noise) in enumerate(zip(tables, shared, strict=True))
    ]


def _table(rows: Sequence[Floats | None]) -> Floats | None:
    known = [row for row in rows if row is not None]
    if len(known) < len(rows) or len({len(row) for row in known}) != 1:
        return None
    return np.array(known)


def _shared_noise(
    studies: Sequence[Sequence[TrialRecord]],
    known: Sequence[PooledNoise | None],
    people: Sequence[int],
    together: bool,
) -> list[PooledNoise | None]:
    """Return the noise of training seeds of each study, as it is known, or as its replicates tell.

    together: studies of the same data may take it from each other, where one has none of its own.
    """
    noises = [
        noise or pooled_noise(trials, None, count)
        for trials, noise, count in zip(studies, known or [None] * len(studies), people, strict=True)
    ]
    borrowed = next((noise for noise in noises if noise is not None), None) if together else None
    return [noise or borrowed for noise in noises]
