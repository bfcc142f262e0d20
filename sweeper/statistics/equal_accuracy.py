"""Attack rates at equal accuracy: what else than the accuracy of targets makes them leak more or less.

A worse classifier leaks less, so that two ways of training are compared where both are equally accurate. The
probit of the attack rate is regressed on the probit of the test accuracy, and on what is asked about: in
groups, or as a number such as a depth. Checkpoints of one training belong together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from sweeper.statistics.paired import LEVEL
from sweeper.statistics.seed_noise import COUNT

Floats = NDArray[np.float64]

PERMUTATIONS = 1999
DRAWS = 400
ROUNDING = 1e-9  # probits that differ by less are the same
LEAST = 0.002  # and 1 - LEAST: what accuracies of 0 and 1 count as, so that they have a probit


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Effect of one regressor at equal accuracy, on the probit scale of the attack rate.

    Attributes:
        shift: by how much the probit moves for 1 of the regressor.
        low, high: ends of its 95 % interval over people and trainings.
        p: two-sided, that the shift is 0 but for chance.
    """

    shift: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, kw_only=True)
class Adjusted:
    """Regression of attack rates on accuracy and other regressors.

    Attributes:
        intercept: of the probit of the attack rate, at an accuracy of 1/2.
        slope: of the probit of the attack rate over that of the accuracy.
        effects: of each regressor.
        p: that none of the regressors has an effect, by permutation of trainings.
    """

    intercept: float
    slope: float
    effects: tuple[Effect, ...]
    p: float

    def rate(self, accuracy: float, regressors: Sequence[float]) -> float:
        """Return the attack rate, in [0, 1], of a target of `accuracy` with these regressors."""
        shifts = sum(effect.shift * value for effect, value in zip(self.effects, regressors, strict=True))
        score = float(ndtri(np.clip(accuracy, LEAST, 1 - LEAST)))
        return float(ndtr(self.intercept + self.slope * score + shifts))


def at_equal_accuracy(
    accuracies: ArrayLike,
    rates: ArrayLike,
    regressors: ArrayLike,
    trainings: Sequence[object],
    *,
    seed: int = 0,
) -> Adjusted | None:
    """Return what `regressors` do to attack rates beside what the accuracy does; None where nothing can tell.

    Args:
        accuracies: (R,), in [0, 1], of R targets.
        rates: (R, N), in [0, 1], of the same N people.
        regressors: (R, C).
        trainings: (R,), of which training each target is a checkpoint; all have as many, in the same order.
        seed: of permutations and draws.

    The p value of all regressors together permutes residuals of the regression on accuracy alone between
    trainings, whole trainings at a time (Freedman and Lane, J. Bus. Econ. Statist. 1, 1983). Intervals come
    from a bootstrap that draws the people again, the same for all targets, and the residuals of trainings
    (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 6.2), with Student's quantile
    for the trainings beyond the coefficients. None where there are too few trainings for that, where
    regressors and accuracy say the same, or where the accuracy says all of the rates, as where no target
    leaks anybody: what is left is rounding, and its deviation too. Raises `ValueError` for trainings of
    different lengths.
    """
    x = ndtri(np.clip(np.asarray(accuracies, dtype=np.float64), LEAST, 1 - LEAST))
    people = np.asarray(rates, dtype=np.float64)
    count = people.shape[1]
    y = _probit(people.mean(axis=1), count)
    asked = np.asarray(regressors, dtype=np.float64).reshape(len(x), -1)
    blocks = _blocks(trainings)
    small = np.column_stack([np.ones(len(x)), x])
    full = np.column_stack([small, asked])
    freedom = len(blocks) - full.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(full) < full.shape[1] or np.ptp(x) == 0:
        return None
    if np.ptp(y - small @ _fit(small, y[None])[0]) < ROUNDING:
        return None
    dice = np.random.default_rng(seed)
    coefficients = _fit(full, y[None])[0]
    residuals = y - full @ coefficients
    draws = _drawn(full @ coefficients, residuals, blocks, freedom, dice)
    draws = draws + _people(people, count, y, dice)
    deviations = _fit(full, draws)[:, 2:].std(axis=0, ddof=1)
    reach = float(stdtrit(freedom, 1 - LEVEL / 2))
    effects = [
        Effect(
            shift=float(shift),
            low=float(shift - reach * deviation),
            high=float(shift + reach * deviation),
            p=2 * float(stdtr(freedom, -abs(shift) / deviation)) if deviation > 0 else float(shift == 0),
        )
        for shift, deviation in zip(coefficients[2:], deviations, strict=True)
    ]
    p = _permuted(small, full, y, blocks, dice)
    return Adjusted(
        intercept=float(coefficients[0]), slope=float(coefficients[1]), effects=tuple(effects), p=p
    )


def _probit(rates: Floats, people: int) -> Floats:
    scores: Floats = ndtri(np.clip(rates, COUNT / people, 1 - COUNT / people))
    return scores


def _blocks(trainings: Sequence[object]) -> NDArray[np.intp]:
    """Return (T, E): the places of the E checkpoints of each of T trainings."""
    places: dict[object, list[int]] = {}
    for place, training in enumerate(trainings):
        places.setdefault(training, []).append(place)
    lengths = {len(own) for own in places.values()}
    if len(lengths) != 1:
        raise ValueError(f"trainings must have as many checkpoints each; got {sorted(lengths)}")
    return np.array(list(places.values()))


def _fit(table: Floats, y: Floats) -> Floats:
    """Return (B, C): the least squares coefficients of `table` (R, C) for each row of `y` (B, R)."""
    coefficients: Floats = (np.linalg.pinv(table) @ y.T).T
    return coefficients


def _drawn(
    fitted: Floats, residuals: Floats, blocks: NDArray[np.intp], freedom: int, dice: np.random.Generator
) -> Floats:
    """Return (B, R): `fitted` with the residuals of trainings drawn at random, as wide as noise is."""
    count = len(blocks)
    wider = np.sqrt(count / freedom)  # residuals are smaller than noise: coefficients were fitted to it
    chosen = dice.integers(0, count, (DRAWS, count))
    drawn = np.empty((DRAWS, len(fitted)))
    drawn[:, blocks] = residuals[blocks][chosen] * wider
    return fitted + drawn


def _people(rates: Floats, count: int, y: Floats, dice: np.random.Generator) -> Floats:
    """Return (B, R): what other people of the same kind add to the probits `y`."""
    weights = dice.multinomial(count, np.full(count, 1 / count), size=DRAWS) / count
    return _probit(weights @ rates.T, count) - y


def _permuted(
    small: Floats, full: Floats, y: Floats, blocks: NDArray[np.intp], dice: np.random.Generator
) -> float:
    """Return the share of permutations whose residuals the other regressors explain as well."""
    base = small @ _fit(small, y[None])[0]
    residuals = y - base
    orders = np.argsort(dice.random((PERMUTATIONS, len(blocks))), axis=1)
    moved = np.empty((PERMUTATIONS + 1, len(y)))
    moved[0] = residuals
    moved[1:, blocks] = residuals[blocks][orders]
    tables = base + moved
    without, beside = (((tables - _fit(table, tables) @ table.T) ** 2).sum(axis=1) for table in (small, full))
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = np.nan_to_num((without - beside) / beside, nan=0.0, posinf=np.inf).clip(min=0.0)
    return float((explained >= explained[0] * (1 - 1e-9)).mean())
