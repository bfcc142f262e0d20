"""Domains, the values that a parameter may take, of which a space is made.

A space is a dict: name -> domain. The name of a plain domain is the path it sets in a trial
(``target.freeze_point``); a `Switch` or `Rows` has a name of its own (``defense``) and sets several paths.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Single = str | int | float | bool | None
Value = Single | tuple[Single, ...]


def _check_range(low: float, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"a range needs two finite ends; got [{low}, {high}]")
    if low >= high:
        raise ValueError(f"a range needs its low end below its high end; got [{low}, {high}]")
    if log and low <= 0:
        raise ValueError(f"a log range needs a low end above 0; got [{low}, {high}]; set log: false")


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], searched by its log if `log`; `start` (else the middle) is its anchor."""

    low: float
    high: float
    log: bool = False
    start: float | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log)
        if self.start is not None and not self.low <= self.start <= self.high:
            raise ValueError(f"start must lie in [{self.low}, {self.high}]; got {self.start}")


@dataclass(frozen=True)
class Int:
    """An integer in [low, high], searched by its log if `log`; `start` (else the middle) is its anchor."""

    low: int
    high: int
    log: bool = False
    start: int | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log)
        if self.start is not None and not self.low <= self.start <= self.high:
            raise ValueError(f"start must lie in [{self.low}, {self.high}]; got {self.start}")


def _check_values(values: Sequence[Value]) -> None:
    if not values:
        raise ValueError("expected at least one value; got none")
    doubles = sorted({str(v) for v in values if values.count(v) > 1})
    if doubles:
        raise ValueError(f"expected distinct values; got {', '.join(doubles)} more than once")


@dataclass(frozen=True)
class Choice:
    """One of `values`, which have no order. The first is its value in anchors.

    Optimisers store no lists, so that each value has a name for them: itself, or the text of a list.
    """

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        _check_values(self.values)
        _check_values(self.labels)

    @property
    def labels(self) -> tuple[Single, ...]:
        """Return the values as an optimiser names them: a list as ``[a, b]``."""
        return tuple(_label(value) for value in self.values)

    def named(self, label: Single) -> Value:
        """Return the value that an optimiser names `label`; `label` itself if there is none."""
        return next((value for value in self.values if _label(value) == label), label)


def _label(value: Value) -> Single:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Ordered:
    """One of `values`, whose order means something: searched as a position, reported by value.

    Anchors take the first value, the last and the middle one.
    """

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        _check_values(self.values)


@dataclass(frozen=True)
class Branch:
    """One way of a `Switch`: the paths it fixes, and what varies inside it."""

    fixed: Mapping[str, Value]
    space: Mapping[str, "Domain"] = field(default_factory=dict)


@dataclass(frozen=True)
class Switch:
    """A conditional union: one of `branches`, each with a space of its own. The first is the reference."""

    branches: Mapping[str, Branch]

    def __post_init__(self) -> None:
        if not self.branches:
            raise ValueError("a switch needs at least one branch; got none")


@dataclass(frozen=True)
class Rows:
    """One of several whole assignments, such as a published grid.

    The reference comes first and the published choice second; anchors take these two.
    """

    rows: tuple[Mapping[str, Value], ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError("a grid needs at least one row; got none")


Domain = Float | Int | Choice | Ordered | Switch | Rows
Space = dict[str, Domain]


@dataclass(frozen=True)
class SpaceEntry:
    """A registry entry: what varies, who published it, and the space for a target's freeze points."""

    summary: str
    source: str
    make: Callable[[tuple[str, ...]], Space]
