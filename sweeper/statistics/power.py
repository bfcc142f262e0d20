"""Power: which difference of attack rates a study of so many people, restarts and seeds can show.

Formulas of two proportions in the normal approximation (Fleiss, Levin and Paik, Statistical Methods for Rates
and Proportions, 3rd edition 2003, section 4.3), without its correction for continuity; the people of the two
arms count as independent, which is cautious where they are the same.
"""

import math
from statistics import NormalDist

_NORMAL = NormalDist()
LEVEL, POWER = 0.05, 0.8


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


def power_of(first: float, second: float, people: float, *, seed_deviation: float = 0.0) -> float:
    """Return the chance that `people` in each arm tell rates `first` and `second` apart, two-sided at 5 %.

    people: independent ones, see `effective_people`. seed_deviation: of each arm's rate over training seeds,
    for the mean over those that are run.
    """
    mean = (first + second) / 2
    noise = 2 * seed_deviation**2
    under_null = math.sqrt(2 * mean * (1 - mean) / people + noise)
    as_it_is = math.sqrt((first * (1 - first) + second * (1 - second)) / people + noise)
    if as_it_is == 0:
        return 1.0 if first != second else 0.0
    reach = _NORMAL.inv_cdf(1 - LEVEL / 2) * under_null
    distance = abs(first - second)
    return _NORMAL.cdf((distance - reach) / as_it_is) + _NORMAL.cdf((-distance - reach) / as_it_is)


def effective_people(people: int, restarts: int, agreement: float = 0.5) -> float:
    """Return how many people with one restart each are worth `people` with several.

    agreement: correlation of two restarts of one person, in [0, 1]; 1 means that restarts say nothing new
    (design effect of Kish, Survey Sampling, 1965).
    """
    return people * restarts / (1 + (restarts - 1) * agreement)


def smallest_difference(
    reference: float, people: float, *, seed_deviation: float = 0.0, power: float = POWER
) -> float | None:
    """Return the smallest drop from the rate `reference` that is told with chance `power`; None if none is.

    people, seed_deviation: as in `power_of`.
    """
    if power_of(reference, 0.0, people, seed_deviation=seed_deviation) < power:
        return None
    low, high = 0.0, reference  # a drop of `low` is not told, one of `high` is
    for _ in range(60):
        middle = (low + high) / 2
        if power_of(reference, reference - middle, people, seed_deviation=seed_deviation) < power:
            low = middle
        else:
            high = middle
    return high
