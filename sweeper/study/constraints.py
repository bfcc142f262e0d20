"""Constraints that a trial on the front keeps, as a study file says them: ``test_accuracy >= 0.8``."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sweeper.study.metrics import objective_metrics
from sweeper.study.objectives import is_number, measured
from trainables.errors import ConfigError
from trainables.storage.documents import suggestion

_FORM = re.compile(r"\s*(\w+)\s*(>=|<=)\s*([-+.\w]+)\s*")


@dataclass(frozen=True)
class Constraint:
    """At least, or at most, `limit` in the metric `name`."""

    name: str
    sign: Literal[">=", "<="]
    limit: float

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.limit:g}"

    def violation(self, result: Mapping[str, Any]) -> float | None:
        """Return by how much a trial's result misses the limit, 0 or less if it keeps it; None if unknown."""
        value = measured(result, self.name)
        if not is_number(value):
            return None
        return float(self.limit - value if self.sign == ">=" else value - self.limit)


def parse_constraint(text: Any, where: str) -> Constraint:
    """Return the constraint that `text` says; raise `ConfigError` with what was expected."""
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(
            f"a constraint must be a measure, >= or <=, and a number, as in 'test_accuracy >= 0.8'; "
            f"got {text!r} ({where})"
        )
    name, sign, number = match.groups()
    metrics = objective_metrics()
    if name not in metrics:
        raise ConfigError(
            f"a constraint must name one of {', '.join(metrics)}; got '{name}'"
            f"{suggestion(name, metrics)} ({where})"
        )
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    low, high = metrics[name].low, metrics[name].high
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    if not (math.isfinite(limit) and low <= limit <= high):
        span = (
            f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a number of at least {low:g}"
        )
        raise ConfigError(f"the limit of {name} must be {span}; got {number} ({where})")
    return Constraint(name, ">=" if sign == ">=" else "<=", limit)


def check_together(limits: Sequence[Constraint], where: str) -> None:
    """Raise `ConfigError` naming two limits of one metric that no value keeps."""
    for low_at, low in enumerate(limits):
        for high_at, high in enumerate(limits):
            if (low.sign, high.sign, low.name) == (">=", "<=", high.name) and low.limit > high.limit:
                raise ConfigError(
                    f"constraints must leave some value of {low.name}; got '{low}' and '{high}' "
                    f"({where}: constraints[{low_at}] and constraints[{high_at}]); leave one of them out"
                )
