"""Record of one private person: how often the attacks on the front recovered them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class PersonRecord:
    """What was recovered of one private person.

    Attributes:
        identity: label of the person.
        name: as the study knows it; None where an earlier version kept none.
        recovered: reconstructions that the judge recognised.
        attempts: all reconstructions: restarts x attacks x seeds.
        score: that the judge gives to the best of them, see ``trainables.judges.verification``; None where it
            was not kept.
        trials: numbers of those in which the person was recovered at least once.
    """

    identity: int
    name: str | None = None
    recovered: int
    attempts: int
    score: float | None = None
    trials: Sequence[int] = ()

    @property
    def rate(self) -> float:
        """Return the share that was recovered, in [0, 1]."""
        return self.recovered / self.attempts

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data, with its rate."""
        return {
            "identity": self.identity,
            "name": self.name,
            "recovered": self.recovered,
            "attempts": self.attempts,
            "rate": self.rate,
            "score": self.score,
            "trials": list(self.trials),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the person that `to_json` made `document` of."""
        return cls(**{name: value for name, value in document.items() if name != "rate"})
