"""Ray Tune's view of a book: a thin searcher that hands out its trials and reports how they ended."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ray.tune import Callback
from ray.tune.search import Searcher

from sweeper.search.ask_tell import Asked, Book
from sweeper.search.reading import was_screened
from trainables.errors import DiskError
from trainables.runtime.background import Standing

DIED = Standing("failed", reason="its worker died (killed, or out of memory), also when tried again")


class StudySearch(Searcher):
    """Ray Tune's view of a book: suggests its trials, and tells it how they ended.

    settings: what every Tune configuration gets beside number and trial. at_most: trials at once.
    on_start, on_step, on_end: told of each trial that starts, where it stands, and how it ended.
    held: raises once the study is no longer ours to drive. retries: how often a trial is handed out again
    whose worker or machine died. Tune is to retry nothing: it fails a trial at once whose worker dies while
    it passes from the last trial to this one.
    failure: set to the first error that must end the sweep (a full disk, a lost database).
    """

    def __init__(
        self,
        book: Book,
        settings: Mapping[str, Any],
        *,
        at_most: int,
        on_start: Callable[[Asked], None],
        on_step: Callable[[Asked, Standing], None],
        on_end: Callable[[Asked, dict[str, Any]], None],
        held: Callable[[], None] = lambda: None,
        retries: int = 0,
    ) -> None:
        super().__init__()
        self._held, self._stopping = held, False
        self._retries, self._deaths, self._again = retries, Counter[int](), list[Asked]()
        self._book, self._settings, self._at_most = book, dict(settings), at_most
        self._on_start, self._on_step, self._on_end = on_start, on_step, on_end
        self._asked: dict[str, Asked] = {}
        self.failure: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher; the study is the truth, so there is nothing to keep

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the study is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the study is the truth."""

    def stop(self) -> None:
        """Hand out nothing more; Tune ends when the running trials have ended."""
        self._stopping = True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next configuration, None to be asked later, or FINISHED."""
        closing = self.failure is not None or self._stopping
        later = None if self._asked or (self._again and not closing) else str(Searcher.FINISHED)
        if closing or len(self._asked) >= self._at_most:
            return later
        try:
            self._held()
            asked = self._again.pop(0) if self._again else self._book.ask()
        except Exception as error:
            self.failure = error
            return later
        if asked is None:
            return later
        self._asked[trial_id] = asked
        self._on_start(asked)
        return {
            **self._settings,
            "number": asked.number,
            "trial": asked.document,
            **({"options": asked.options} if asked.options else {}),
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Show where the trial stands."""
        if trial_id in self._asked and not result["done"]:
            self._on_step(self._asked[trial_id], result["standing"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the book how the trial ended. On a full disk the trial stays open, for the next start."""
        asked = self._asked.pop(trial_id, None)
        if asked is None or self.failure is not None:
            return
        standing: Standing = (result or {}).get("standing") or DIED
        if standing is DIED:
            self._deaths[asked.number] += 1
            if self._deaths[asked.number] <= self._retries:
                self._again.append(asked)
                return
        if standing.cause == "disk":
            self.failure = DiskError(standing.reason)
            return
        try:
            self._held()
            record = self._tell(asked, standing)
        except Exception as problem:
            self.failure = problem
            return
        self._on_end(asked, record)
        standing.result.clear()  # Tune keeps the last report of every trial until the sweep ends

    def _tell(self, asked: Asked, standing: Standing) -> dict[str, Any]:
        """Tell the book, and return the trial as the tracker and the progress need it."""
        reason, record = standing.reason, {"params": asked.assignment}
        if standing.state == "complete":
            values = self._book.values(standing.result)
            record = {**standing.result, **record, "values": {**standing.result.get("values", {}), **values}}
            reason = self._book.tell(asked.number, record)
        else:
            self._book.fail(asked.number, asked.assignment, reason, standing.trace)
        state = "failed" if reason else "complete"
        if state == "complete" and was_screened(record):
            state, record = "screened", {**record, "values": {}}  # what a short attack reached is no result
        return {**record, "number": asked.number, "state": state, "reason": reason}


class Watch(Callback):
    """Calls `look` at every round of Tune's loop, also while no trial runs."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def __getstate__(self) -> dict[str, Any]:
        return {}  # as the searcher's

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look."""
        self._look()
