"""Paired tests over shared people: whether two figures differ by more than chance. numpy and scipy only.

Two targets attacked for the same people are compared person by person; what one person's face adds to both
cancels. A word such as "better" may stand only where one of these tests carries it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from trainables.results import upper_bound as upper_bound

SIGN_FLIPS = 10_000  # random ones; fewer people than thirteen have so few that all are tried
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Two figures of the same people.

    Attributes:
        difference: of the means, first less second.
        p: two-sided; the chance of at least this difference if nothing but chance makes it.
        first_only: people for whom the first is higher.
        second_only: people for whom the second is higher.
    """

    difference: float
    p: float
    first_only: int
    second_only: int

    @property
    def p_higher(self) -> float:
        """Return the one-sided p that the first figure is higher; half the two-sided one on that side."""
        return self.p / 2 if self.difference > 0 else 1 - self.p / 2

    @property
    def differ(self) -> bool:
        """Return whether the test tells the two apart at 5 %."""
        return self.p < LEVEL


def paired_test(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> PairedTest:
    """Return how the rates (N,) in [0, 1] of N people differ between two targets.

    Rates of 0 and 1 alone: McNemar's exact test (1947), a sign test over the people for whom they differ.
    Other rates: the test that flips the signs of the people's differences (Fisher, The Design of Experiments,
    1935, section 21), with all flips up to 12 people that differ and 10,000 random ones beyond.

    Raises `ValueError` if the two are not of the same people.
    """
    ours, theirs = (np.asarray(rates, dtype=np.float64) for rates in (first, second))
    if ours.shape != theirs.shape or ours.ndim != 1 or not len(ours):
        raise ValueError(
            f"a paired test expects the rates of the same people; got {ours.shape}, {theirs.shape}"
        )
    differences = ours - theirs
    higher, lower = int((differences > 0).sum()), int((differences < 0).sum())
    binary = bool(np.isin(ours, (0.0, 1.0)).all() and np.isin(theirs, (0.0, 1.0)).all())
    if not higher + lower:
        p = 1.0
    elif binary:
        p = float(binomtest(higher, higher + lower, 0.5).pvalue)
    else:
        p = _flipped(differences[differences != 0], seed)
    return PairedTest(difference=float(differences.mean()), p=p, first_only=higher, second_only=lower)


def _flipped(differences: NDArray[np.float64], seed: int) -> float:
    """Return the share of sign flips with a sum at least as far from 0 as that of `differences` (n,)."""
    count = len(differences)
    if count <= 12:
        signs = 1.0 - 2.0 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float((np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12).mean())
    signs = np.random.default_rng(seed).integers(0, 2, (SIGN_FLIPS, count)) * 2.0 - 1.0
    far = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12).sum()
    return float((far + 1) / (SIGN_FLIPS + 1))  # what was measured is one of the flips
