"""Ray Tune's view of a book: a thin searcher that hands out its trials and reports how they ended."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ray.tune import Callback
from ray.tune.search import Searcher

from sweeper.search.ask_tell import TrialRequest, TrialSource
from sweeper.search.reading import was_screened
from trainables.errors import DiskError
from trainables.runtime.background import JobStatus

DIED = JobStatus("failed", reason="its worker died (killed, or out of memory), also when tried again")


class StudySearch(Searcher):
    """Ray Tune's view of a book: suggests its trials, and tells it how they ended.

    settings: what every Tune configuration gets beside number and trial. at_most: says how many trials
    may run at once now.
    on_start, on_step, on_end: told of each trial that starts, where it stands, and how it ended.
    held: raises once the study is no longer ours to drive. retries: how often a trial is handed out again
    whose worker or machine died. Tune is to retry nothing: it fails a trial at once whose worker dies while
    it passes from the last trial to this one.
    failure: set to the first error that must end the sweep (a full disk, a lost database).
    """

    def __init__(
        self,
        source: TrialSource,
        settings: Mapping[str, Any],
        *,
        at_most: Callable[[], int],
        on_start: Callable[[TrialRequest], None],
        on_step: Callable[[TrialRequest, JobStatus], None],
        on_end: Callable[[TrialRequest, dict[str, Any]], None],
        held: Callable[[], None] = lambda: None,
        retries: int = 0,
    ) -> None:
        super().__init__()
        self._held, self._stopping = held, False
        self._retries, self._deaths, self._again = retries, Counter[int](), list[TrialRequest]()
        self._source, self._settings, self._at_most = source, dict(settings), at_most
        self._on_start, self._on_step, self._on_end = on_start, on_step, on_end
        self._requests: dict[str, TrialRequest] = {}
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
        later = None if self._requests or (self._again and not closing) else str(Searcher.FINISHED)
        if closing or len(self._requests) >= self._at_most():
            return later
        try:
            self._held()
            request = self._again.pop(0) if self._again else self._source.ask()
        except Exception as error:
            self.failure = error
            return later
        if request is None:
            return later
        self._requests[trial_id] = request
        self._on_start(request)
        return {
            **self._settings,
            "number": request.number,
            "trial": request.document,
            **({"options": request.options} if request.options else {}),
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Show where the trial stands."""
        if trial_id in self._requests and not result["done"]:
            self._on_step(self._requests[trial_id], result["status"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the book how the trial ended. On a full disk the trial stays open, for the next start."""
        request = self._requests.pop(trial_id, None)
        if request is None or self.failure is not None:
            return
        status: JobStatus = (result or {}).get("status") or DIED
        if status is DIED:
            self._deaths[request.number] += 1
            if self._deaths[request.number] <= self._retries:
                self._again.append(request)
                return
        if status.cause == "disk":
            self.failure = DiskError(status.reason)
            return
        try:
            self._held()
            record = self._tell(request, status)
        except Exception as problem:
            self.failure = problem
            return
        self._on_end(request, record)
        status.result.clear()  # Tune keeps the last report of every trial until the sweep ends

    def lost(self) -> int:
        """Take back all trials that run, since Ray has stopped their workers, and return how many they are.

        The worker of one of them died. That counts for one that ran alone, as `retries` says; of several
        nobody knows whose it was.
        """
        running = list(self._requests)
        for trial_id in running:
            if len(running) == 1:
                self.on_trial_complete(trial_id, error=True)
            else:
                self._again.append(self._requests.pop(trial_id))
        return len(running)

    def _tell(self, request: TrialRequest, status: JobStatus) -> dict[str, Any]:
        """Tell the book, and return the trial as the tracker and the progress need it."""
        reason, record = status.reason, {"params": request.assignment}
        if status.state == "complete":
            values = self._source.values(status.result)
            record = {**status.result, **record, "values": {**status.result.get("values", {}), **values}}
            reason = self._source.tell(request.number, record)
        else:
            self._source.fail(request.number, request.assignment, reason, status.trace)
        state = "failed" if reason else "complete"
        if state == "complete" and was_screened(record):
            state, record = "screened", {**record, "values": {}}  # what a short attack reached is no result
        return {**record, "number": request.number, "state": state, "reason": reason}


class Watch(Callback):
    """Calls `look` at every round of Tune's loop, also while no trial runs."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def __getstate__(self) -> dict[str, Any]:
        return {}  # as the searcher's

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look."""
        self._look()
