"""Work beside the trials of a sweep: looked at as they go on, and waited for at their end."""

from collections.abc import Callable
from typing import Any, Protocol

LOOK_SECONDS = 1.0
Measured = dict[str, Any] | str


class Worker(Protocol):
    """What measures something elsewhere."""

    def look(self, seconds: float = 0.0) -> Measured | None:
        """Return what was measured, or why nothing could be; None while it works, after so many seconds."""

    def end(self) -> None:
        """End it, whatever it has still to do."""


class BesideTrials:
    """Controls that are measured beside the trials of a sweep, in the place of one of them.

    worker: measures them; None where nothing is to be measured. keep: is told what it measured.
    """

    def __init__(self, worker: Worker | None, keep: Callable[[Measured], None]) -> None:
        self._worker, self._keep = worker, keep

    @property
    def places(self) -> int:
        """Return how many trials' places they take now."""
        return int(self._worker is not None)

    def look(self, seconds: float = 0.0) -> None:
        """Keep what was measured, once it is; wait for news so many seconds at most."""
        if self._worker is None:
            return
        found = self._worker.look(seconds)
        if found is not None:
            self.end()
            self._keep(found)

    def wait(self, look: Callable[[], None]) -> None:
        """Come back once all is measured; `look` is called now and then."""
        while self._worker is not None:
            look()
            self.look(LOOK_SECONDS)

    def end(self) -> None:
        """End their worker, if it still works."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None
