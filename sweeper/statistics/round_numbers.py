"""Round numbers that cover a range, for axes and levels."""

import math


def _step(span: float) -> float:
    """Return the 1-2-5 step that cuts `span` into five to ten parts."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(power * m for m in (1, 2, 5, 10) if span / (power * m) <= 10)


def round_values(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round values (multiples of 1, 2 or 5 times a power of ten) from `low` to `high`.

    Where none fits in between, `high` itself.
    """
    if not high > low:
        return [high]
    step = _step(high - low)
    while math.floor(high / step + 1e-9) - math.ceil(low / step - 1e-9) + 1 > most:
        step = _step(step * 10.001)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)] or [high]
