"""Contrasts of attack rates: differences, and differences of differences, of targets under several seeds.

The people are the same for all targets, so that what one person's face adds to all cancels; training seeds
are not, and make two trainings of one recipe differ by more than people tell. A contrast holds both: its
variance is that over people plus that over seeds, pooled on the probit scale over targets.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtr, stdtrit

from sweeper.statistics.paired import LEVEL, paired_test, upper_bound
from sweeper.statistics.seed_noise import COUNT, PooledNoise, pooled

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Term:
    """One target of a contrast.

    Attributes:
        weight: that its attack rate counts with.
        rates: (S, N), in [0, 1]: of N people under S training seeds.
        noise: of training seeds, pooled over targets like this one; None if no target has two seeds.
    """

    weight: float
    rates: Floats
    noise: PooledNoise | None

    @property
    def seed_variance(self) -> float:
        """Return the variance over seeds of the weighted mean rate, by the delta method from the probit."""
        if self.noise is None:
            return 0.0
        seeds, people = self.rates.shape
        score = float(ndtri(np.clip(self.rates.mean(), COUNT / people, 1 - COUNT / people)))
        density = math.exp(-score * score / 2) / math.sqrt(2 * math.pi)
        return float((self.weight * density * self.noise.probit) ** 2 / seeds)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A weighted sum of attack rates with its 95 % interval over people and training seeds.

    Attributes:
        difference: the sum, in units of the rates.
        low, high: ends of the interval.
        p: two-sided, that the sum is 0 but for chance: the larger of Student's over people and seeds, and of
            the exact paired test over people alone (`paired_test`); 1 where seeds are not known.
        holds_seeds: whether the noise of training seeds is in it.
    """

    difference: float
    low: float
    high: float
    p: float
    holds_seeds: bool


def contrast(terms: Sequence[Term]) -> Contrast:
    """Return the contrast of `terms`, whose people are the same, in the same order.

    The degrees of freedom of people (N - 1) and of each pooled noise are put together as Satterthwaite does
    (Biometrics Bulletin 2, 1946); a noise that several terms share is one estimate, and counts once. Seeds
    are taken as independent between terms, which makes the interval a little wide where attacks share their
    targets. Raises `ValueError` for other people, and for a single one.
    """
    people = terms[0].rates.shape[1]
    if people < 2 or any(term.rates.shape[1] != people for term in terms):
        raise ValueError(
            "a contrast expects rates of the same people, two or more; got "
            f"{[term.rates.shape for term in terms]}"
        )
    means = [term.weight * term.rates.mean(axis=0) for term in terms]
    own = np.sum(means, axis=0)
    difference = float(own.mean())
    pools: dict[PooledNoise, float] = {}
    for term in terms:
        if term.noise is not None:
            pools[term.noise] = pools.get(term.noise, 0.0) + term.seed_variance
    parts = [(float(own.var(ddof=1)) / people, people - 1.0)]
    parts += [(part, float(noise.freedom)) for noise, part in pools.items()]
    variance = math.fsum(part for part, _ in parts)
    known = all(term.noise is not None for term in terms)
    p, reach = float(difference == 0), 0.0
    if variance > 0:
        freedom = variance**2 / math.fsum(part**2 / free for part, free in parts)
        deviation = math.sqrt(variance)
        reach = float(stdtrit(freedom, 1 - LEVEL / 2)) * deviation
        p = 2 * float(stdtr(freedom, -abs(difference) / deviation))
    if np.ptp(own) < 1e-12:  # no two people differ, and of so few some might
        reach = max(reach, upper_bound(people))
    plus = np.sum([mean for mean, term in zip(means, terms, strict=True) if term.weight > 0], axis=0)
    minus = -np.sum([mean for mean, term in zip(means, terms, strict=True) if term.weight < 0], axis=0)
    exact = paired_test(np.broadcast_to(plus, people), np.broadcast_to(minus, people)).p
    return Contrast(
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        p=max(p, exact) if known else 1.0,
        holds_seeds=known,
    )


def seed_noise(targets: Sequence[ArrayLike]) -> PooledNoise | None:
    """Return the noise of seeds pooled over `targets`, each with rates (S, N); None without two seeds."""
    tables = [np.asarray(rates, dtype=np.float64) for rates in targets]
    people = max((table.shape[1] for table in tables), default=1)
    return pooled([(table.mean(axis=1), np.zeros(len(table))) for table in tables], people)


def holm(p: Sequence[float]) -> list[float]:
    """Return `p` adjusted for their number, in [0, 1], in the same order (Holm, Scand. J. Statist. 6, 1979).

    Whoever calls those below 5 % findings is wrong about any of them in at most 5 % of studies.
    """
    adjusted, largest = [0.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = largest
    return adjusted
