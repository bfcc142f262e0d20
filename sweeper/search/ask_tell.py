"""Ask and tell: the contract between the search, which hands out trials, and the engine, which runs them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Assignment = dict[str, Any]


@dataclass(frozen=True)
class TrialRequest:
    """A trial to run: its number, path -> value, the whole document, and its name for people.

    options: what the worker gets beside the document. is_trial: whether it is a trial of the study, and not a
    run beside its trials.
    """

    number: int
    assignment: Assignment
    document: dict[str, Any]
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    is_trial: bool = True


class TrialSource(Protocol):
    """Source of trials that is told how each ended: `NoiseReplicates` over a study, or a `Confirmation`.

    complete: results so far. budget: results wanted.
    """

    @property
    def complete(self) -> int: ...

    @property
    def budget(self) -> int: ...

    @property
    def extra(self) -> int:
        """Return how many runs are to come beside those that the budget counts."""
        ...

    @property
    def finished(self) -> bool:
        """Return whether there is nothing more to hand out, now and later."""
        ...

    def ask(self) -> TrialRequest | None:
        """Return the next trial to run, or None while the running ones may still suffice."""
        ...

    def tell(self, number: int, result: Mapping[str, Any]) -> str:
        """Record what trial `number` gave; return "" or the reason why it counts as failed."""
        ...

    def fail(self, number: int, assignment: Assignment, reason: str, trace: str = "") -> None:
        """Record that trial `number` gave no result, and why."""
        ...

    def values(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return the objectives of what a trial gave, None for one that it lacks."""
        ...


class PlannedRuns:
    """The part of a `TrialSource` whose runs are known from the start: each is handed out once, in order.

    A subclass says what each is in `request`, and calls `ended` when it is told how one went.

    Attributes:
        failures: what went wrong, in sentences.
    """

    def __init__(self, planned: int, left: Iterable[int]) -> None:
        self._planned, self._left = planned, list(left)
        self._running: set[int] = set()
        self.failures: list[str] = []

    @property
    def budget(self) -> int:
        """Return how many runs are wanted, those included that an earlier start finished."""
        return self._planned

    @property
    def extra(self) -> int:
        """Return how many runs are to come beside these: none."""
        return 0

    @property
    def finished(self) -> bool:
        """Return whether all were tried."""
        return not self._left and not self._running

    def ask(self) -> TrialRequest | None:
        """Return the next run, or None if all were handed out."""
        if not self._left:
            return None
        number = self._left.pop(0)
        self._running.add(number)
        return self.request(number)

    def request(self, number: int) -> TrialRequest:
        """Return the run `number`."""
        raise NotImplementedError

    def ended(self, number: int) -> None:
        """Note that run `number` is no longer under way."""
        self._running.discard(number)
