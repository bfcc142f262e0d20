"""Let Ray Tune run the trials of a source, and show and record how each ended."""

import functools
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sweeper.engine.interrupt import Stopping, stoppable
from sweeper.engine.machines.cluster import WORKER_RETRIES, TrialResources, machines
from sweeper.engine.progress import Display, Warner, spell, stopped
from sweeper.engine.remaining import Remaining
from sweeper.results import formatting
from sweeper.results.trial_record import TrialRecord
from sweeper.search.ask_tell import TrialRequest, TrialSource
from sweeper.storage.home import Home
from sweeper.study.study import Study
from trainables.errors import TrialError
from trainables.results import count_behind
from trainables.runtime.background import JobStatus

if TYPE_CHECKING:
    from sweeper.engine.controls import BesideTrials
    from sweeper.engine.searcher import StudySearch

Run = Callable[..., dict[str, Any]]


USELESS = "useless judge: "  # how `trainables.stages.evaluation.useless_judge` begins


LOOK_SECONDS = 20.0
SHORTAGES = 20  # of memory, which a sweep survives


def run_trials(
    study: Study,
    home: Home,
    source: TrialSource,
    allotment: TrialResources,
    display: Display,
    run: Run | None,
    tracker: Any = None,
    held: Callable[[], None] = lambda: None,
    *,
    niceness: int | None = None,
    remaining: Remaining | None = None,
    warner: Warner | None = None,
    anyway: bool = True,
    describe: Callable[[dict[str, Any], float], str] | None = None,
    beside: "BesideTrials | None" = None,
) -> None:
    """Let Ray Tune run the trials of `source` until it has enough; `run` (or `run_document`) runs one.

    held: raises once the study is no longer ours. niceness: of trials' work. remaining: what is known of the
    time that trials take. warner: tells the warnings of trials. anyway: go on though a trial shows that its
    judge says nothing; otherwise nothing more is handed out, and `TrialError` says why. describe: what is
    shown of a trial that ended after so many seconds (default: `summary`). beside: what is measured in the
    place of a trial while these run. Raises `KeyboardInterrupt` as
    `stoppable` says.
    """
    if source.finished:
        return
    runner = _Runner(
        study,
        home,
        source,
        allotment,
        display,
        tracker,
        remaining or Remaining({}),
        warner or Warner(display),
        describe or functools.partial(summary, study),
        beside,
    )
    runner.run(run, held, niceness, anyway)


class _Runner:
    """Runs the trials of a source with Ray Tune; `started`, `stepped` and `ended` hear of each."""

    def __init__(
        self,
        study: Study,
        home: Home,
        source: TrialSource,
        allotment: TrialResources,
        display: Display,
        tracker: Any,
        remaining: Remaining,
        warner: Warner,
        describe: Callable[[dict[str, Any], float], str],
        beside: "BesideTrials | None",
    ) -> None:
        self._study, self._home, self._source = study, home, source
        self._allotment, self._display, self._tracker = allotment, display, tracker
        self._began: dict[int, float] = {}
        self._stages: dict[int, tuple[str, float]] = {}
        self._remaining, self._warner, self._describe = remaining, warner, describe
        self._beside, self._useless = beside, ""
        self._stop: Callable[[], None] = lambda: None
        self._most, self._shortages = allotment.concurrent, 0  # of trials at once, and of memory

    def run(self, run: Run | None, held: Callable[[], None], niceness: int | None, anyway: bool) -> None:
        """Run trials until the source has enough; see `run_trials`."""
        from sweeper.engine.searcher import StudySearch

        searcher = StudySearch(
            self._source,
            {
                "store_root": str(self._home.store.root),
                "threads": self._allotment.threads,
                "shards": _shards(self._allotment, niceness),
                "niceness": niceness,
            },
            at_most=self._places,
            on_start=self.started,
            on_step=self.stepped,
            on_end=self.ended,
            held=held,
            retries=WORKER_RETRIES,
        )
        if not anyway:
            self._stop = searcher.stop
        stopping = Stopping(searcher.stop)
        lost = _Lost(self._allotment, self._display)

        def look() -> None:
            stopping.say(self._display)
            lost.look()
            if self._beside is not None:
                self._beside.look()

        self._show_total()
        folder = self._home.root / "ray"
        leftovers = folder / self._study.name
        shutil.rmtree(leftovers, ignore_errors=True)  # of a killed driver; nothing in there is needed
        try:
            with stoppable(stopping):
                while not self._fit(self._tuner(searcher, run, look, str(folder)), searcher):
                    shutil.rmtree(leftovers, ignore_errors=True)
        finally:
            shutil.rmtree(leftovers, ignore_errors=True)
        if searcher.failure is not None:
            raise searcher.failure
        if self._useless and not anyway:
            raise TrialError(stopped(self._useless))
        if not self._source.finished:
            raise TrialError("Ray stopped before the study had its results; start again to go on")

    def _fit(self, tuner: Any, searcher: "StudySearch") -> bool:
        """Run Ray's tuner; return whether it came to its end. Where memory ran out, fewer trials are to run.

        Ray ends the largest worker then, by an error that its Tune does not know as an end of one.
        """
        from ray.exceptions import OutOfMemoryError

        try:
            tuner.fit()
        except RuntimeError as error:
            if not isinstance(error.__cause__, OutOfMemoryError):
                raise
            self._shortages += 1
            if self._shortages > SHORTAGES:
                raise TrialError(
                    f"the machine ran out of memory {self._shortages} times, with one trial at a time at "
                    "last; finished trials are kept: start again where there is more, or with smaller ones"
                ) from None
            running = searcher.lost()
            self._most = max(1, running - 1) if running else self._most
            self._display.say(
                f"the machine ran out of memory, and Ray ended a trial's worker: {self._most} at a time from "
                "now on, from where they were"
            )
            return False
        return True

    def started(self, request: TrialRequest) -> None:
        """Note when the trial began."""
        self._began[request.number] = time.monotonic()
        self._stages.pop(request.number, None)

    def stepped(self, request: TrialRequest, at: JobStatus) -> None:
        """Show how far the trial is; a target that has ended says how far the estimate is off."""
        self._display.stage(request.name, at.stage, at.done, at.total, at.seconds)
        before, seconds = self._stages.get(request.number, ("", 0.0))
        self._stages[request.number] = at.stage, at.seconds
        if before != at.stage and before.partition(",")[0] == "target":
            self._remaining.ended("target", seconds)
            self._show_total()

    def ended(self, request: TrialRequest, record: dict[str, Any]) -> None:
        """Show how the trial ended and how long the rest may take, and tell the tracker."""
        seconds = time.monotonic() - self._began.pop(request.number)  # the clock may have been set meanwhile
        if record["state"] != "failed":  # that may be at once
            self._remaining.ended("trial", seconds)
        self._display.ended(request.name, self._describe(record, seconds))
        self._show_total()
        self._warner.tell(record.get("warnings") or (), request.name)
        self._useless = self._useless or useless(record)
        if self._useless:
            self._stop()  # what runs ends; nothing more is handed out
        if self._tracker is not None and request.is_trial:
            now = time.time()
            moments = {"started": _iso(now - seconds), "finished": _iso(now)}
            self._tracker.trial(TrialRecord.from_json(record | moments))

    def _show_total(self) -> None:
        source, now = self._source, time.monotonic()
        count = max(0, source.budget - source.complete) + source.extra
        spent = [now - began for began in self._began.values()]
        self._display.total(
            source.complete,
            source.budget,
            self._remaining.trials(count, self._places(), spent),
        )

    def _places(self) -> int:
        """Return how many trials may run at once now."""
        taken = 0 if self._beside is None else self._beside.places
        return max(1, min(self._most, self._allotment.concurrent - taken))

    def _tuner(self, searcher: Any, run: Run | None, look: Callable[[], None], folder: str) -> Any:
        """Return Ray's tuner. look: is called as Ray goes on.  folder: where Ray keeps its files."""
        from ray import tune

        from sweeper.engine.searcher import Watch
        from trainables.tune import TuneTrial, run_document

        return tune.Tuner(
            tune.with_resources(
                tune.with_parameters(TuneTrial, run=run or run_document),
                tune.PlacementGroupFactory(
                    [{"CPU": process.cpus, "GPU": process.gpus} for process in self._allotment.processes]
                ),
            ),
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name=self._study.name,
                storage_path=folder,
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                callbacks=[Watch(look)],
                verbose=0,
            ),
        )


def useless(result: Mapping[str, Any]) -> str:
    """Return why a trial's judge says nothing, as its warnings have it; "" if it may say something."""
    texts = result.get("warnings") or ()
    return next((str(text) for text in texts if str(text).startswith(USELESS)), "")


def _shards(allotment: TrialResources, niceness: int | None) -> dict[str, Any] | None:
    """Return what a trial needs to know of the processes beside its own; None if there are none."""
    shard = allotment.shard
    if shard is None:
        return None
    return {"shards": allotment.shards, "cpus": shard.cpus, "gpus": shard.gpus, "niceness": niceness}


class _Lost:
    """Says when no machine is left on which a trial fits, and when there is one again. Ray waits for it."""

    def __init__(self, allotment: TrialResources, display: Display) -> None:
        self._allotment, self._display = allotment, display
        self._looked, self._gone = time.monotonic(), False

    def look(self) -> None:
        """Ask for the machines, every `LOOK_SECONDS`."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        gone = not self._allotment.fits(machines())
        if gone != self._gone:
            needs = f"{self._allotment.cpus:g} cores and {self._allotment.gpus:g} GPUs"
            now = f"no machine with {needs} is left; waiting for one" if gone else "a machine is back"
            self._display.say(f"the cluster has changed: {now}")
        self._gone = gone


def summary(study: Study, record: dict[str, Any], seconds: float) -> str:
    """Return one line about a trial that ended."""
    if record["state"] == "failed":
        return f"failed: {record['reason']}"
    shown = ", ".join(f"{path}={_short(value)}" for path, value in record["params"].items())
    if record["state"] == "screened":
        seen = record["screening"]
        people = count_behind(seen.get("interval"))
        numbers = ", ".join(
            f"{name} {formatting.decimals(name, seen[name], people=people)}"
            for name in ("test_accuracy", "attack_accuracy")
        )
        return f"screened by a short attack: {numbers}; {seen['reason']} ({shown}) after {spell(seconds)}"
    people = (record.get("people") or {}).get("attacked")
    values = ", ".join(
        f"{name} {formatting.decimals(name, record['values'][name], people=people)}"
        for name in study.objectives
    )
    return f"{values} ({shown}) after {spell(seconds)}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
