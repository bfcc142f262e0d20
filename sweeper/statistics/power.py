"""Power: which difference of attack rates a study of so many people, restarts and seeds can show.

Formulas of two proportions in the normal approximation (Fleiss, Levin and Paik, Statistical Methods for Rates
and Proportions, 3rd edition 2003, section 4.3), without its correction for continuity; the people of the two
arms count as independent, which is cautious where they are the same.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_NORMAL = NormalDist()
LEVEL, POWER = 0.05, 0.8
MOST_PEOPLE = 1_000_000


def people_needed(first: float, second: float, *, power: float = POWER) -> int:
    """Return how many people each arm needs to tell rates `first` and `second`, in [0, 1], apart.

    Two-sided test at 5 %, with chance `power` to tell. Raises `ValueError` for equal rates.
    """
    if first == second:
        raise ValueError(f"people_needed expects two different rates; got {first} twice")
    mean = (first + second) / 2
    spread = _NORMAL.inv_cdf(1 - LEVEL / 2) * math.sqrt(2 * mean * (1 - mean))
    spread += _NORMAL.inv_cdf(power) * math.sqrt(first * (1 - first) + second * (1 - second))
    return math.ceil((spread / (first - second)) ** 2)


def power_of(
    first: float, second: float, people: float, *, seed_deviation: float = 0.0, tests: int = 1
) -> float:
    """Return the chance that `people` in each arm tell rates `first` and `second` apart, two-sided at 5 %.

    people: independent ones, see `effective_people`. seed_deviation: of each arm's rate over training seeds,
    for the mean over those that are run. tests: for how many together the 5 % hold (Bonferroni).
    """
    mean = (first + second) / 2
    noise = 2 * seed_deviation**2
    under_null = math.sqrt(2 * mean * (1 - mean) / people + noise)
    as_it_is = math.sqrt((first * (1 - first) + second * (1 - second)) / people + noise)
    if as_it_is == 0:
        return 1.0 if first != second else 0.0
    reach = _NORMAL.inv_cdf(1 - LEVEL / tests / 2) * under_null
    distance = abs(first - second)
    return _NORMAL.cdf((distance - reach) / as_it_is) + _NORMAL.cdf((-distance - reach) / as_it_is)


def exact_power(first: float, second: float, people: int) -> float:
    """Return the chance that Fisher's exact test tells two rates apart, of `people` each, two-sided at 5 %.

    Where few people are found the normal approximation of `power_of` is too hopeful; nothing is approximated
    here: all tables of two counts are gone through (Fisher, The Design of Experiments, 1935, section 21.02).
    """
    counts, ways = np.arange(people + 1), _log_ways(people)
    chance = [_binomial(people, rate) for rate in (first, second)]
    told = 0.0
    for total in range(2 * people + 1):
        one = counts[max(0, total - people) : min(people, total) + 1]
        logs = ways[one] + ways[total - one]
        tables = np.exp(logs - logs.max())  # of many people a table alone underflows
        tables /= tables.sum()
        rising = np.sort(tables)
        as_unlikely = np.searchsorted(rising, tables * (1 + 1e-7), side="right")
        unlikely = np.cumsum(rising)[as_unlikely - 1] < LEVEL
        told += float((chance[0][one] * chance[1][total - one])[unlikely].sum())
    return told


def _log_ways(people: int) -> NDArray[np.float64]:
    """Return the logarithm of the binomial coefficient of each count from 0 to `people`, (people + 1,)."""
    factorials = np.array([math.lgamma(count + 1) for count in range(people + 1)])
    logs: NDArray[np.float64] = factorials[-1] - factorials - factorials[::-1]
    return logs


def _binomial(people: int, rate: float) -> NDArray[np.float64]:
    """Return the chance of each count from 0 to `people`, (people + 1,)."""
    counts = np.arange(people + 1)
    if rate in (0.0, 1.0):
        certain: NDArray[np.float64] = np.where(counts == rate * people, 1.0, 0.0)
        return certain
    logs = _log_ways(people) + counts * math.log(rate) + (people - counts) * math.log1p(-rate)
    chances: NDArray[np.float64] = np.exp(logs)
    return chances


def effective_people(people: int, restarts: int, agreement: float = 0.5) -> float:
    """Return how many people with one restart each are worth `people` with several.

    agreement: correlation of two restarts of one person, in [0, 1]; 1 means that restarts say nothing new
    (design effect of Kish, Survey Sampling, 1965).
    """
    return people * restarts / (1 + (restarts - 1) * agreement)


def people_within_reach(
    rate: float,
    floor: float,
    *,
    restarts: int = 1,
    seed_deviation: float = 0.0,
    power: float = POWER,
    agreement: float = 0.5,
) -> int | None:
    """Return how many people, each attacked `restarts` times, tell `rate` from `floor` with chance `power`.

    seed_deviation: of `rate` over training seeds; the floor is trained on nothing. None where it alone hides
    the difference from however many. agreement: see `effective_people`. Raises `ValueError` for equal rates.
    """
    each, deviation = effective_people(1, restarts, agreement), seed_deviation / math.sqrt(2)

    def enough(people: int) -> bool:
        return power_of(rate, floor, people * each, seed_deviation=deviation) >= power

    if not seed_deviation:
        return math.ceil(people_needed(rate, floor, power=power) / each)
    if rate == floor or not enough(MOST_PEOPLE):
        return None
    low, high = 0, MOST_PEOPLE  # so many are not enough, and enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def restarts_needed(people: int, needed: float, agreement: float = 0.5) -> int | None:
    """Return how many restarts make `people` worth `needed` with one each; None where no number does.

    agreement: see `effective_people`; so many restarts of a person are worth less than 1 / agreement people.
    """
    if people >= needed:
        return 1
    room = people - agreement * needed
    if room <= 0:
        return None
    return math.ceil((1 - agreement) * needed / room - 1e-9)


def smallest_difference(
    reference: float, people: float, *, seed_deviation: float = 0.0, power: float = POWER, tests: int = 1
) -> float | None:
    """Return the smallest drop from the rate `reference` that is told with chance `power`; None if none is.

    people, seed_deviation, tests: as in `power_of`.
    """

    def told(drop: float) -> bool:
        rate = reference - drop
        return power_of(reference, rate, people, seed_deviation=seed_deviation, tests=tests) >= power

    if not told(reference):
        return None
    low, high = 0.0, reference  # a drop of `low` is not told, one of `high` is
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if told(middle) else (middle, high)
    return high
