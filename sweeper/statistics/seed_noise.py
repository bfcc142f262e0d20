"""Noise of training seeds: pooled over trials that ran under several, and put into the intervals of all.

Trained again under another seed a target leaks another rate, and an interval over the attacked people knows
nothing of that. A few trials under a few seeds tell how large it is, if it is taken to be about the same for
all trials on a scale where it does not depend on the rate: the probit of an attack rate, and an accuracy as
it is.

The seeds of a trial attack the same people, so their variance is that of seeds and of restarts, without that
of people. It is used as it is: the luck of restarts, which an interval over people holds too, is in there
twice, and the interval is a little wide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri, stdtrit

from sweeper.statistics.bootstrap import NORMAL_975
from sweeper.statistics.cross_fitting import SeedNoise

COUNT = 0.25  # of a person: what 0 and all of N count as, so that they have a probit


@dataclass(frozen=True, kw_only=True)
class PooledNoise:
    """Deviations over training seeds of a trial under one seed, and how well they are known.

    Attributes:
        probit: of the attack rate on the probit scale.
        accuracy: of the test accuracy.
        freedom: degrees of freedom of both, at least 1.
    """

    probit: float
    accuracy: float
    freedom: int

    @property
    def reach(self) -> float:
        """Return Student's quantile: so many deviations from what was measured a 95 % interval ends."""
        return float(stdtrit(self.freedom, 0.975))

    @property
    def for_draws(self) -> SeedNoise:
        """Return the deviations for normal draws whose interval ends 1.96 deviations away.

        They are wider by what is not known of them, so that the interval ends `reach` deviations away.
        """
        wider = self.reach / NORMAL_975
        return SeedNoise(probit=self.probit * wider, accuracy=self.accuracy * wider)

    def around_rate(
        self, rate: float, interval: Sequence[float], *, people: int, seeds: int = 1
    ) -> tuple[float, float]:
        """Return the `interval` over people of an attack rate, widened by the noise of a mean over `seeds`.

        people: how many the rate is a mean over. Margins are put together on the probit scale.
        """
        lowest = COUNT / people
        score = ndtri(np.clip(rate, lowest, 1 - lowest))
        low, high = ndtri(np.clip(interval, 0.0, 1.0))  # 0 and 1 lie infinitely far away, and stay
        deviation = self.probit / math.sqrt(seeds)
        ends = ndtr(
            [
                score - self._margin(max(0.0, score - low), deviation),
                score + self._margin(max(0.0, high - score), deviation),
            ]
        )
        return min(float(ends[0]), float(interval[0])), max(float(ends[1]), float(interval[1]))

    def around_accuracy(
        self, accuracy: float, interval: Sequence[float], *, seeds: int = 1
    ) -> tuple[float, float]:
        """Return the `interval` over images of an accuracy, widened by the noise of a mean over `seeds`."""
        deviation = self.accuracy / math.sqrt(seeds)
        below = self._margin(max(0.0, accuracy - interval[0]), deviation)
        above = self._margin(max(0.0, interval[1] - accuracy), deviation)
        return max(0.0, accuracy - below), min(1.0, accuracy + above)

    def _margin(self, margin: float, deviation: float) -> float:
        """Return a 95 % `margin` widened by a `deviation` over seeds that is itself only estimated.

        The variances add up, and the quantile is Student's with the degrees of freedom of that sum
        (Satterthwaite, Biometrics Bulletin 2, 1946): all of them where seeds add nothing, those of the
        deviation where they add everything.
        """
        known, estimated = (margin / NORMAL_975) ** 2, deviation**2
        if estimated == 0 or not math.isfinite(known):
            return margin
        freedom = self.freedom * ((known + estimated) / estimated) ** 2
        return float(stdtrit(freedom, 0.975)) * math.sqrt(known + estimated)


def pooled(groups: Sequence[tuple[ArrayLike, ArrayLike]], people: int) -> PooledNoise | None:
    """Return the noise within `groups`, pooled; None if no group has two seeds.

    groups: (attack rates, test accuracies) of a trial under several seeds, both (seeds,), each group under
    one set of attacked people and test images. people: how many are attacked.
    """
    freedom, squares = 0, np.zeros(2)
    for rates, accuracies in groups:
        shares = np.clip(np.asarray(rates, dtype=np.float64), COUNT / people, 1 - COUNT / people)
        figures = np.stack([ndtri(shares), np.asarray(accuracies, dtype=np.float64)])
        squares += ((figures - figures.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        freedom += figures.shape[1] - 1
    if freedom < 1:
        return None
    probit, accuracy = np.sqrt(squares / freedom)
    return PooledNoise(probit=float(probit), accuracy=float(accuracy), freedom=freedom)
