"""Confidence intervals over repeated measurements."""

import math
from collections.abc import Sequence


def interval_over(
    values: Sequence[float],
    intervals: Sequence[Sequence[float] | None],
    low: float = -math.inf,
    high: float = math.inf,
) -> tuple[float, float] | None:
    """Return a 95 % interval of the mean of `values`, one a seed, each with its interval over identities.

    Two sources of error add up. Identities: all seeds attack the same ones, so that error does not shrink
    with more seeds; its two margins are the means of the seeds' own, (p_j - l_j) and (u_j - p_j). Seeds:
    t s / sqrt(r), Student's interval of r means with standard deviation s. Both are put together as Zou and
    Donner (Statistics in Medicine 27, 2008; "MOVER") put together the limits of two independent parts:
    mean - sqrt(margin_low^2 + (t s / sqrt(r))^2), and with a plus above. It is a little wide, because s also
    holds the luck of single reconstructions, which the identities' margins hold too.

    A value without an interval counts as exact but for its seed. None if there is neither an interval nor a
    second seed. Ends are cut off at `low` and `high`.
    """
    from scipy.special import stdtrit

    count = len(values)
    mean = math.fsum(values) / count
    known = [(v, ends) for v, ends in zip(values, intervals, strict=True) if ends]
    if count < 2 and not known:
        return None
    below = math.fsum(v - ends[0] for v, ends in known) / max(1, len(known))
    above = math.fsum(ends[1] - v for v, ends in known) / max(1, len(known))
    seeds = 0.0
    if count > 1:
        variance = math.fsum((v - mean) ** 2 for v in values) / (count - 1)
        seeds = float(stdtrit(count - 1, 0.975)) * math.sqrt(variance / count)
    return max(low, mean - math.hypot(below, seeds)), min(high, mean + math.hypot(above, seeds))
