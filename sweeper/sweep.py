"""The sweep, top to bottom: check, prepare, search, record. The one place where all parts meet."""

import errno
import functools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from sweeper.cluster import Allotment, allot, check_address, cluster, machines
from sweeper.databases import check_tracking
from sweeper.gather import gather
from sweeper.home import Home
from sweeper.ledger import Asked, Book, Ledger
from sweeper.progress import Display, Silent, spell
from sweeper.records import study_records
from sweeper.replicates import run_replicates
from sweeper.stopping import Stopping, stoppable
from sweeper.study import Study
from trainables.background import Standing
from trainables.errors import DiskError, TrialError

Run = Callable[..., dict[str, Any]]

WORKER_RETRIES = 2
LOOK_SECONDS = 20.0


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended. before: results there at the start. problems: what a reader should know."""

    records: dict[str, Any]
    before: int
    report: Path | None
    problems: list[str]


def sweep(
    study: Study,
    home: Home,
    *,
    run: Run | None = None,
    make: Run | None = None,
    address: str | None = None,
    display: Display | None = None,
    shared: bool = True,
) -> Outcome:
    """Run `study` until it has its results, taking up what an earlier start left; return what it found.

    run, make: what runs a trial and makes a shared stage (default: ``trainables.tune``). address: of a Ray
    cluster; None starts one here. shared: make the shared stages first. Raises `ConfigError` before any work
    for what can be known before, `DiskError` if the disk is full, `TrialError` if a shared stage fails.
    """
    display = display or Silent()
    home.prepare()
    with home.driver(study.name) as held, full_disk(home):
        if study.tracking.mlflow:
            from sweeper.tracking import check_reachable

            check_reachable(home.tracking)
            check_tracking(home.tracking, home.storage)
        check_address(address)
        if home.store.mirror is not None:
            home.store.mirror.check()
        ledger = Ledger(study, home.storage, home.study(study.name) / "history")
        before = ledger.complete
        closed = ledger.finished and ledger.notes.get("closed") == ledger.complete
        if shared and run is None and not before and not ledger.finished:
            display.say("checking the data")
            check_data(study)
        tracker = None if closed else _tracker(study, home)
        if not ledger.finished:
            _keep(study, home)
            try:
                display.say("starting Ray" if address is None else f"connecting to Ray at {address}")
                with cluster(address) as nodes:
                    allotment = allot(study.resources, nodes)
                    if shared:
                        _prepare(study, home, allotment, display, make)
                    whole = _whole(study, run)
                    run_book(study, home, ledger, allotment, display, whole, tracker, held)
            finally:
                if tracker is not None and not ledger.finished:
                    tracker.close()
        return _close(study, home, ledger, before, tracker)


def run_book(
    study: Study,
    home: Home,
    book: Book,
    allotment: Allotment,
    display: Display,
    run: Run | None,
    tracker: Any = None,
    held: Callable[[], None] = lambda: None,
) -> None:
    """Let Ray Tune run the trials of `book` until it has enough; `run` (or `run_document`) runs one.

    held: raises once the study is no longer ours. Raises `KeyboardInterrupt` as `stoppable` says.
    """
    from ray import tune

    from sweeper.search import StudySearch, Watch
    from trainables.tune import TuneTrial, run_document

    began: dict[int, float] = {}
    took: list[float] = []

    def on_start(asked: Asked) -> None:
        began[asked.number] = time.time()

    def on_step(asked: Asked, at: Standing) -> None:
        display.stage(asked.name, at.stage, at.done, at.total, at.seconds)

    def on_end(asked: Asked, record: dict[str, Any]) -> None:
        now = time.time()
        took.append(now - began[asked.number])
        display.ended(asked.name, summary(study, record, took[-1]))
        remaining = max(0, book.budget - book.complete)
        abreast = max(1, min(allotment.concurrent, remaining))
        display.total(book.complete, book.budget, sum(took) / len(took) * remaining / abreast)
        if tracker is not None:
            tracker.trial(record | {"started": _iso(began[asked.number]), "finished": _iso(now)})

    searcher = StudySearch(
        book,
        {"store_root": str(home.store.root), "threads": allotment.threads, "shards": _shards(allotment)},
        at_most=allotment.concurrent,
        on_start=on_start,
        on_step=on_step,
        on_end=on_end,
        held=held,
        retries=WORKER_RETRIES,
    )
    stopping = Stopping(searcher.stop)
    lost = _Lost(allotment, display)

    def look() -> None:
        stopping.say(display)
        lost.look()

    display.total(book.complete, book.budget, None)
    trainable = tune.with_parameters(TuneTrial, run=run or run_document)
    folder = home.root / "ray"
    shutil.rmtree(folder / study.name, ignore_errors=True)  # of a killed driver; nothing in there is needed
    try:
        tuner = tune.Tuner(
            tune.with_resources(
                trainable,
                tune.PlacementGroupFactory(
                    [{"CPU": one.cpus, "GPU": one.gpus} for one in allotment.processes]
                ),
            ),
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name=study.name,
                storage_path=str(folder),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                callbacks=[Watch(look)],
                verbose=0,
            ),
        )
        with stoppable(stopping):
            tuner.fit()
    finally:
        shutil.rmtree(folder / study.name, ignore_errors=True)
    if searcher.failure is not None:
        raise searcher.failure
    if not book.finished:
        raise TrialError("Ray stopped before the study had its results; start again to go on")


def _shards(allotment: Allotment) -> dict[str, Any] | None:
    """Return what a trial needs to know of the processes beside its own; None if there are none."""
    shard = allotment.shard
    return None if shard is None else {"shards": allotment.shards, "cpus": shard.cpus, "gpus": shard.gpus}


class _Lost:
    """Says when no machine is left on which a trial fits, and when there is one again. Ray waits for it."""

    def __init__(self, allotment: Allotment, display: Display) -> None:
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


def _whole(study: Study, run: Run | None) -> Run | None:
    """Return what runs a trial with all that the study asks for: several seeds, or a short attack first."""
    search = study.search
    if search.replicates > 1:
        from trainables.tune import run_document

        return functools.partial(run_replicates, run=run or run_document, count=search.replicates)
    if search.screening and run is None:
        from trainables.screen import run_screened_document

        limits = [(limit.name, limit.sign, limit.limit) for limit in study.limits]
        return functools.partial(
            run_screened_document,
            objectives=dict(study.objectives),
            limits=limits,
            share=search.screening_share,
        )
    return run


def check_data(study: Study) -> None:
    """Raise `ConfigError` for data that cannot be used: missing, too few, or both private and public.

    Also for a file of pre-trained weights that does not fit the architecture.
    """
    from trainables.config import load_trial
    from trainables.data import load_data
    from trainables.pretraining import Checkpoint

    config = load_trial(study.trial)
    if isinstance(config.pretraining, Checkpoint):
        config.pretraining.read(config.target.architecture, config.image_size)
    load_data(config)


def _prepare(study: Study, home: Home, allotment: Allotment, display: Display, make: Run | None) -> None:
    from sweeper.prepare import prepare
    from trainables.tune import make_stage

    stopping = Stopping(lambda: None)
    with stoppable(stopping):
        prepare(
            study,
            str(home.store.root),
            display,
            cpus=allotment.node_cpus,
            gpus=allotment.node_gpus,
            make=make or make_stage,
            look=lambda: stopping.say(display),
        )


def _tracker(study: Study, home: Home) -> Any:
    """Start to write MLflow, which takes seconds at first touch; None if it is off."""
    if not study.tracking.mlflow:
        return None
    from sweeper.tracking import Tracker

    return Tracker(study, home)


def _close(study: Study, home: Home, ledger: Ledger, before: int, tracker: Any) -> Outcome:
    """Write the report and finish MLflow; return the outcome."""
    records = study_records(home, study.name)
    report = None
    problems = []
    try:
        gather(records, home.store)
    except TrialError as error:
        problems.append(f"the report lacks what other machines made: {error}")
    try:
        from sweeper.report import write_report

        report = home.report(study.name)
        write_report([records], report, images=study.tracking.images)
    finally:
        if tracker is not None:
            tracker.finish(records, report)
            if tracker.problem:
                problems.append(tracker.problem)
            else:
                ledger.note("closed", ledger.complete)
    if ledger.gave_up:
        problems.append(f"gave up after {ledger.failed_now} failed trials; see their reasons")
    return Outcome(records, before, report, problems)


def summary(study: Study, record: dict[str, Any], seconds: float) -> str:
    """Return one line about a trial that ended."""
    if record["state"] == "failed":
        return f"failed: {record['reason']}"
    shown = ", ".join(f"{path}={_short(value)}" for path, value in record["params"].items())
    if record["state"] == "screened":
        seen = record["screening"]
        numbers = ", ".join(f"{name} {seen[name]:.3f}" for name in ("test_accuracy", "attack_accuracy"))
        return f"screened by a short attack: {numbers}; {seen['reason']} ({shown}) after {spell(seconds)}"
    values = ", ".join(f"{name} {record['values'][name]:.3f}" for name in study.objectives)
    return f"{values} ({shown}) after {spell(seconds)}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@contextmanager
def full_disk(home: Home) -> Iterator[None]:
    """Turn a full disk, whoever met it, into one `DiskError`."""
    try:
        yield
    except OSError as error:
        if isinstance(error, DiskError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskError(
            error.errno,
            f"the disk below {home.root} is full; free space and start again: finished work is kept",
        ) from error


def _keep(study: Study, home: Home) -> None:
    """Write the resolved study file beside what it leads to."""
    from dataclasses import asdict

    (home.study(study.name) / "study.yaml").write_text(yaml.safe_dump(asdict(study), sort_keys=False))


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
