"""Durations that are known as a range: what work will take at best and at worst."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True, order=False)
class Duration:
    """A number of seconds between two ends. Sums and multiples are those of the ends.

    Attributes:
        low: seconds at best, at least 0.
        high: seconds at worst, at least `low`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse ends that are negative, swapped or no numbers."""
        if not 0 <= self.low <= self.high:
            raise ValueError(f"a duration expects 0 <= low <= high; got {self.low} and {self.high}")

    @classmethod
    def exactly(cls, seconds: float) -> Self:
        """Return the duration of `seconds`, neither less nor more."""
        return cls(low=seconds, high=seconds)

    @classmethod
    def spanning(cls, durations: "Iterable[Duration]") -> Self:
        """Return the duration from the lowest to the highest end of `durations`; 0 of none."""
        parts = list(durations)
        return cls(
            low=min((part.low for part in parts), default=0.0),
            high=max((part.high for part in parts), default=0.0),
        )

    @property
    def middle(self) -> float:
        """Return the seconds half-way between the ends."""
        return (self.low + self.high) / 2

    def __add__(self, other: "Duration") -> "Duration":
        """Return how long both take, one after the other."""
        return Duration(low=self.low + other.low, high=self.high + other.high)

    def __radd__(self, other: int) -> "Duration":
        """Return itself: `sum` begins with 0."""
        return self + Duration.exactly(other)

    def beyond(self, other: "Duration") -> "Duration":
        """Return how much longer it takes than `other`, end by end; 0 where it does not."""
        low = max(0.0, self.low - other.low)
        return Duration(low=low, high=max(low, self.high - other.high))

    def __mul__(self, factor: float) -> "Duration":
        """Return how long it takes `factor` times."""
        return Duration(low=self.low * factor, high=self.high * factor)

    __rmul__ = __mul__
