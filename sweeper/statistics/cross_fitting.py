"""Fronts valued on data that did not choose them: people and test images in two halves. numpy only.

A front is made of the trials that look best, and some look best by luck. Here one half of the people and of
the test images chooses, for each accuracy that may be asked for, the trial to release (the *policy*, a
staircase of trials); the other half says what the chosen trials are worth; both change places, and the mean
of the two is reported. Choice and value share no noise, so the figure is unbiased for the value of the
policies that halves choose, at any rate, also near 0 where drawing a front again is not. That value is at
most the front's own.

Cross-fitting as in Chernozhukov et al., Double/debiased machine learning (2018), section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweeper.statistics.paired import upper_bound

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

DRAWS = 400
LEVEL = 0.95
ROUNDING = 1e-9
_SPLIT = 2018  # the stream of the halves: the same people and images in them for all studies that share them


@dataclass(frozen=True, kw_only=True)
class SeedNoise:
    """Standard deviations over training seeds, of a trial under one seed.

    Attributes:
        probit: of the attack rate on the probit scale, where it is about the same for low and high rates.
        accuracy: of the test accuracy.
    """

    probit: float = 0.0
    accuracy: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Halves:
    """Figures of n trials on the two halves, drawn again B times.

    Attributes:
        accuracies: (2, B, n), shares of the half's test images.
        rates: (2, B, n), attack rates of the half's people; lower is better.
    """

    accuracies: Floats
    rates: Floats


@dataclass(frozen=True, kw_only=True)
class CrossFitted:
    """A study's trials on both halves.

    Attributes:
        measured: as measured, B = 1.
        drawn: drawn again.
        people: of both halves.
        alike: (n,), whether all people of a trial have one rate, as where nobody was found: drawn again they
            do not spread.
    """

    measured: Halves
    drawn: Halves
    people: int
    alike: Booleans


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A cross-fitted figure with its interval.

    Attributes:
        value: as measured.
        low: lower end, at 95 % the value less 1.96 standard deviations of the draws.
        high: upper end.
        above: share of the draws, moved to lie around the value, that lie above 0.
    """

    value: float
    low: float
    high: float
    above: float


def halves(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the two halves of `count` people or images; the same at every call."""
    order = np.random.default_rng([_SPLIT, count]).permutation(count)
    return np.sort(order[: (count + 1) // 2]), np.sort(order[(count + 1) // 2 :])


def cross_fit(
    rates: ArrayLike,
    correct: ArrayLike,
    *,
    noise: SeedNoise | None = None,
    seeds: ArrayLike = 1,
    draws: int = DRAWS,
    seed: int = 0,
    seed_of_noise: int = 0,
) -> CrossFitted:
    """Return n trials on both halves, measured and drawn again.

    Args:
        rates: (n, N), each person's share of restarts in which the judge recognised them; N >= 4.
        correct: (n, M), whether each test image is classified correctly, or the share of seeds in which it
            is; M >= 4.
        noise: over training seeds; drawn for each trial on its own, the same for both halves.
        seeds: how many each trial is the mean of, (n,) or one number; noise shrinks with their square root.
        draws: B.
        seed: of the people and images that are drawn: equal seeds, N and M pair the draws of two studies.
        seed_of_noise: of the training seeds' noise, which two studies do not share.
    """
    people, images = np.asarray(rates, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    for name, table in (("people", people), ("test images", images)):
        if table.shape[1] < 4:
            raise ValueError(f"cross-fitting expects at least 4 {name}; got {table.shape[1]}")
    measured = Halves(accuracies=_measured(images), rates=_measured(people))
    dice = np.random.default_rng(seed)
    drawn_rates, drawn_accuracies = _redrawn(people, draws, dice), _redrawn(images, draws, dice)
    if noise is not None:
        gauss = np.random.default_rng([seed_of_noise, len(people), draws])
        less = 1 / np.sqrt(np.broadcast_to(np.asarray(seeds, dtype=np.float64), (len(people),)))
        shift = noise.probit * less * gauss.standard_normal((draws, len(people)))
        drawn_rates = _shifted(drawn_rates, shift, quarter=0.25 / people.shape[1])
        moved = noise.accuracy * less * gauss.standard_normal((draws, len(people)))
        drawn_accuracies = drawn_accuracies + moved
    drawn = Halves(accuracies=drawn_accuracies, rates=drawn_rates)
    alike = np.ptp(people, axis=1) < ROUNDING
    return CrossFitted(measured=measured, drawn=drawn, people=people.shape[1], alike=alike)


def _measured(table: Floats) -> Floats:
    return np.stack([table[:, half].mean(axis=1) for half in halves(table.shape[1])])[:, None]


def _redrawn(table: Floats, draws: int, dice: np.random.Generator) -> Floats:
    """Return (2, draws, n): the means of `table` (n, N) over people or images drawn again within halves."""
    means = []
    for half in halves(table.shape[1]):
        counts = dice.multinomial(len(half), np.full(len(half), 1 / len(half)), size=draws)
        mean = table[:, half].mean(axis=1)
        # Draws spread too little by (N - 1) / N: put them that much further from what was measured.
        wider = np.sqrt(len(half) / (len(half) - 1))
        means.append(mean + (counts / len(half) @ table[:, half].T - mean) * wider)
    return np.stack(means)


def _shifted(rates: Floats, shift: Floats, *, quarter: float) -> Floats:
    """Return `rates` moved by `shift` on the probit scale; 0 and 1 count as a `quarter` of a person."""
    normal = NormalDist()
    grid = np.linspace(-6, 6, 4097)
    heights = np.array([normal.cdf(x) for x in grid])
    scores = np.interp(np.clip(rates, quarter, 1 - quarter), heights, grid)
    shifted = np.interp(scores + shift, grid, heights)
    # No noise leaves a rate as it is, also one of 0.
    return np.where(shift == 0, rates, shifted)


def policy_value(chosen_by: tuple[Floats, Floats], valued_by: tuple[Floats, Floats]) -> Floats:
    """Return the value (B,) of the policies that one half chooses, as the other half sees them.

    chosen_by, valued_by: accuracies (B, n) and attack rates (B, n) of the two halves. The policy of a front
    is its staircase: to reach an accuracy in (c_(k-1), c_k] release member k. Its value is
    sum_k (c_k - c_(k-1)) (1 - a_k), with members and order of the first half and figures of the second. If
    both halves are the same this is the hypervolume against accuracy 0, attack rate 1.
    """
    accuracies, rates = chosen_by
    order = np.lexsort((rates, -accuracies), axis=1)
    ranked_rates, values, shares = (np.take_along_axis(table, order, axis=1) for table in (rates, *valued_by))
    draws, count = rates.shape
    total, lowest = np.zeros(draws), np.full(draws, np.inf)
    # The last member of the staircase so far: its accuracy and the privacy left, as the other half sees it.
    reached, private = np.zeros(draws), np.zeros(draws)
    for place in range(count):
        member = ranked_rates[:, place] < lowest
        total += np.where(member, (reached - values[:, place]) * private, 0.0)
        lowest = np.where(member, ranked_rates[:, place], lowest)
        reached = np.where(member, values[:, place], reached)
        private = np.where(member, 1 - shares[:, place], private)
    return total + reached * private


def hypervolumes(halves_: Halves) -> Floats:
    """Return (B,): the mean of both directions of `policy_value`."""
    pair = [(halves_.accuracies[side], halves_.rates[side]) for side in (0, 1)]
    return (policy_value(pair[0], pair[1]) + policy_value(pair[1], pair[0])) / 2


def attained(halves_: Halves, level: float) -> Floats:
    """Return (B,): the attack rate that is attained at accuracy `level` or more; nan where a half has none.

    One half chooses the trial with the lowest rate among those that reach the level, the other values it.
    """
    values = []
    for chooses, judges in ((0, 1), (1, 0)):
        reaching = halves_.accuracies[chooses] >= level
        costs = np.where(reaching, halves_.rates[chooses], np.inf)
        best = costs.argmin(axis=1)[:, None]
        value = np.take_along_axis(halves_.rates[judges], best, axis=1)[:, 0]
        values.append(np.where(reaching.any(axis=1), value, np.nan))
    return (values[0] + values[1]) / 2


def level_of_pairs(studies: int) -> float:
    """Return the level of each interval at which those of all pairs of `studies` hold together with 95 %.

    Whoever compares the best-looking of k studies with all others has picked among k (k - 1) / 2 pairs, and
    one of them excludes 0 by luck the more easily the more there are (Bonferroni; Miller, Simultaneous
    Statistical Inference, 1981, section 1.6).
    """
    return 1 - (1 - LEVEL) / max(1, studies * (studies - 1) // 2)


def figure(measured: float, drawn: Floats, level: float = LEVEL, *, least: float = 0.0) -> Figure | None:
    """Return `measured` with its interval from the `drawn` figures (B,); None unless most of them exist.

    least: half of the interval's width at the least.
    """
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(measured) or len(known) < max(2, len(drawn) / 2):
        return None
    half = max(NormalDist().inv_cdf((1 + level) / 2) * float(known.std(ddof=1)), least)
    above = float((known - known.mean() + measured > 0).mean())
    return Figure(value=float(measured), low=float(measured - half), high=float(measured + half), above=above)


def hypervolume_figure(study: CrossFitted) -> Figure | None:
    """Return the cross-fitted hypervolume of a study."""
    return figure(hypervolumes(study.measured)[0], hypervolumes(study.drawn), least=_unseen(study))


def difference_figure(first: CrossFitted, second: CrossFitted, level: float = LEVEL) -> Figure | None:
    """Return the lead of the first study in hypervolume; their draws are paired where their seeds are."""
    measured = hypervolumes(first.measured)[0] - hypervolumes(second.measured)[0]
    least = max(_unseen(first), _unseen(second))
    return figure(measured, hypervolumes(first.drawn) - hypervolumes(second.drawn), level, least=least)


def attained_figures(study: CrossFitted, levels: Sequence[float]) -> list[Figure | None]:
    """Return what is attained at each of `levels`; None where half of the draws do not reach it.

    People drawn again from 40 of whom nobody was found are 40 who were not: such draws do not spread, nor do
    those of everybody found. The interval then reaches as far as the bound of `upper_bound`.
    """
    found = []
    for level in levels:
        value = float(attained(study.measured, level)[0])
        least = upper_bound(study.people) if min(value, 1 - value) < ROUNDING else 0.0
        found.append(figure(value, attained(study.drawn, level), least=least))
    return found


def _unseen(study: CrossFitted) -> float:
    """Return how far people who were not drawn may move a hypervolume.

    People drawn again from 40 of whom nobody was found are 40 who were not. Trials of such people are moved
    to the bound of `upper_bound`, whatever training seeds add to them, and the others stay.
    """
    rates, bound = study.measured.rates, upper_bound(study.people)
    moved = np.where(study.alike, rates + np.where(rates > 0.5, -bound, bound), rates)
    return abs(float((hypervolumes(replace(study.measured, rates=moved)) - hypervolumes(study.measured))[0]))
