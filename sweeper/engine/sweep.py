"""The sweep, top to bottom: check, prepare, search, record. The one place where all parts meet."""

import errno
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.engine.collect import collect
from sweeper.engine.interrupt import Stopping, stoppable
from sweeper.engine.machines.cluster import TrialResources, allot, check_address, cluster
from sweeper.engine.machines.niceness import niceness, workers_start_at_zero
from sweeper.engine.people import begin
from sweeper.engine.progress import Display, Silent, Warner, stopped
from sweeper.engine.remaining import Remaining
from sweeper.engine.runner import Run, run_trials, useless
from sweeper.engine.sources import check_trials, current_sources
from sweeper.results.one_data import mixed_data
from sweeper.results.record_types import StudyRecords
from sweeper.results.records import study_records
from sweeper.search.ask_tell import TrialSource
from sweeper.search.noise_replicates import NoiseReplicates
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import STOPPED, lacks_controls
from sweeper.search.replicates import run_replicates
from sweeper.storage.databases import check_tracking
from sweeper.storage.home import Home
from sweeper.study.checks import control_options
from sweeper.study.study import Study
from trainables.errors import DiskError, TrialError
from trainables.runtime.load import is_busy, load_average
from trainables.storage.disk import write_text
from trainables.storage.strict_yaml import dump_yaml

if TYPE_CHECKING:
    from sweeper.engine.machines.calibration import Calibration


@dataclass(frozen=True)
class SweepResult:
    """End of a sweep.

    before: results that it started with. problems: what a reader should know. failure: why it is not done,
    "" if it is.
    """

    records: StudyRecords
    before: int
    report: Path | None
    problems: list[str]
    failure: str = ""


def sweep(
    study: Study,
    home: Home,
    *,
    run: Run | None = None,
    make: Run | None = None,
    address: str | None = None,
    display: Display | None = None,
    shared: bool = True,
    anyway: bool = False,
    conclude: Callable[[StudyRecords], None] | None = None,
) -> SweepResult:
    """Run `study` until it has its results, taking up what an earlier start left; return what it found.

    run, make: what runs a trial and makes a shared stage (default: ``trainables.tune``). address: of a Ray
    cluster; None starts one here. shared: make the shared stages first. anyway: also where the judge says
    nothing (`useless_judge`). conclude: hears of the records before report and MLflow are written, which then
    have what it keeps beside the report. Raises `ConfigError` before any work for what can be known before,
    `DiskError` if the disk is full, `TrialError` if a shared stage fails or the judge says nothing.
    """
    display = display or Silent()
    warner = Warner(display)
    with home.driver(study.name) as held, full_disk(home), ExitStack() as stack:
        check_places(study, home, address)
        if shared and run is None:
            study = begin(study, home)
        sources = current_sources(study, home)
        optuna_study = OptunaStudy(study, home.storage, home.study(study.name) / "history", sources=sources)
        study = optuna_study.study
        if not optuna_study.sources_recorded and not optuna_study.finished:  # begun by an older version
            check_trials(study, home, sources)
            optuna_study.record_sources()
        source = NoiseReplicates(study, optuna_study, home.storage)
        before = optuna_study.complete
        whole = shared and run is None and make is None
        due = _due(study, optuna_study.notes, whole)
        closed = source.finished and not due and optuna_study.notes.get("closed") == _written(optuna_study)
        if shared and run is None and not before and not optuna_study.finished:
            display.say("checking the data")
            warner.tell(check_data(study), "")
        tracker = None if closed else _tracker(study, home, begins=not optuna_study.begun)
        if tracker is not None:
            stack.enter_context(closing(tracker))  # whatever ends this start, no run in MLflow goes on
        _keep(study, home)
        if not source.finished or due:
            if not anyway:
                _check_judge(study, home)
            display.say("starting Ray" if address is None else f"connecting to Ray at {address}")
            nice = niceness(study.resources, address)
            with workers_start_at_zero(), cluster(address) as nodes:
                allotment = allot(study.resources, nodes)
                if tracker is not None:
                    tracker.check_open()
                fresh = shared and run is None and make is None and not before
                remaining = Remaining({}, replicates=study.search.replicates)
                calibration = _calibration(study, allotment, display, nice) if fresh else None
                if shared:
                    _prepare(
                        study, home, allotment, display, make, remaining, calibration, source, warner, anyway
                    )
                if calibration is not None:
                    remaining.estimated(calibration.look(wait=True) or {})
                from sweeper.engine.controls import controls_beside, measure_after

                if whole:
                    optuna_study.note(STOPPED, {**optuna_study.notes.get(STOPPED, {}), "due": True})
                wanted = control_options(study) if whole else None
                with controls_beside(study, home, wanted, allotment, display, optuna_study, warner) as beside:
                    run_trials(
                        study,
                        home,
                        source,
                        allotment,
                        display,
                        _replicated(study, run),
                        tracker,
                        held,
                        niceness=nice,
                        remaining=remaining,
                        warner=warner,
                        anyway=anyway,
                        beside=beside,
                    )
                if whole:
                    measure_after(study, home, allotment, display, optuna_study, warner)
        outcome = _close(study, home, optuna_study, before, tracker, conclude)
        outcome.problems.extend(source.failures)
        return outcome


def _due(study: Study, notes: Mapping[str, Any], whole: bool) -> bool:
    """Return whether controls are still to come.

    They are where the last start was cut off before its end, where they failed, and where the study has
    wanted others since. whole: whether a study's controls are this start's business.
    """
    if notes.get(STOPPED, {}).get("due", False):
        return True
    return whole and lacks_controls(notes, control_options(study))


def check_places(study: Study, home: Home, address: str | None) -> None:
    """Raise `ConfigError` unless what results go to, and what measures them, can be reached."""
    if study.tracking.mlflow:
        from sweeper.tracking.mlflow_address import check_reachable

        check_reachable(home.tracking)
        check_tracking(home.tracking, home.storage)
    check_machines(home, address)


def check_machines(home: Home, address: str | None) -> None:
    """Raise `ConfigError` unless the cluster and the store that machines share can be reached."""
    check_address(address)
    if home.store.remote is not None:
        home.store.remote.check()


def _replicated(study: Study, run: Run | None) -> Run | None:
    """Return what runs a trial with all that the study asks for: several seeds, or a short attack first."""
    search = study.search
    if search.replicates > 1:
        from trainables.tune import run_document

        return functools.partial(run_replicates, run=run or run_document, count=search.replicates)
    if search.screening and run is None:
        from trainables.screening import run_screened_document

        limits = [(limit.name, limit.sign, limit.limit) for limit in study.searched_limits]
        return functools.partial(
            run_screened_document,
            objectives=dict(study.searched),
            limits=limits,
            share=search.screening_share,
        )
    return run


def check_data(study: Study) -> list[str]:
    """Return what must be known of the data before any work; raise `ConfigError` for unusable data.

    Such are missing ones, too few, equal in two parts, both private and public, or pre-trained on, and people
    to attack, of the template or of the space, whom they do not show. The same for a file of pre-trained
    weights that does not fit the architecture, and a judge that cannot be used. A metric whose file is not
    here is told.
    """
    from sweeper.engine.machines.calibration import variants
    from sweeper.study.checks import check_people
    from trainables.config import load_trial
    from trainables.defenses import DEFENSES
    from trainables.pretraining.checkpoint import FromCheckpoint
    from trainables.stages.data import data_warnings, load_data
    from trainables.stages.judge import check_judges
    from trainables.stages.warnings import batch_warnings

    config = load_trial(study.trial)
    for kind in dict.fromkeys(document["defense"]["kind"] for document in variants(study)):
        DEFENSES[kind]().check_installed()
    if isinstance(config.pretraining, FromCheckpoint):
        config.pretraining.read(config.target.architecture, config.image_size)
    check_judges(config)
    data = load_data(config)
    check_people(study)
    gaps = (metric.missing() for metric in config.metrics)
    unmeasured = [f"not measured unless it comes: {gap}" for gap in gaps if gap]
    return [*data_warnings(config), *batch_warnings(config, data), *unmeasured]


def _calibration(study: Study, allotment: TrialResources, display: Display, nice: int) -> "Calibration":
    """Return what will tell of how long the sweep takes: its stages timed in miniature, beside the first."""
    from sweeper.engine.machines.calibration import Calibration

    busy = f"; the machine is busy (load average {load_average():.1f})" if is_busy() else ""
    display.say(f"timing the stages in miniature{busy}")
    return Calibration(study, allotment, nice)


def _prepare(
    study: Study,
    home: Home,
    allotment: TrialResources,
    display: Display,
    make: Run | None,
    remaining: Remaining,
    calibration: "Calibration | None",
    source: TrialSource,
    warner: Warner,
    anyway: bool,
) -> None:
    """Make the shared stages, and tell of the time left as soon as the calibration knows."""
    from sweeper.engine.shared_stages import places_for, prepare, shared_stages
    from trainables.tune import make_stage

    stages = shared_stages(study)
    places = places_for(study, len(stages))
    stopping, known, since = Stopping(lambda: None), calibration is None, time.monotonic()

    def show() -> None:
        runs = source.budget - source.complete + source.extra
        trials = remaining.trials(runs, allotment.concurrent)
        shared = remaining.shared(stages, places, time.monotonic() - since)
        if trials is not None and shared is not None:
            display.total(source.complete, source.budget, shared + trials)

    def ended(stage: str, seconds: float | None) -> None:
        nonlocal since
        stages.remove(stage)
        since = time.monotonic()
        if seconds is not None:
            remaining.ended(stage, seconds)
        show()

    def look() -> None:
        nonlocal known
        stopping.say(display)
        estimate = None if known or calibration is None else calibration.look()
        if estimate is not None:
            known = True
            remaining.estimated(estimate)
            show()

    with stoppable(stopping):
        prepare(
            study,
            str(home.store.root),
            display,
            cpus=allotment.node_cpus,
            gpus=allotment.node_gpus,
            make=make or make_stage,
            look=look,
            ended=ended,
            warner=warner,
            anyway=anyway,
        )


def _check_judge(study: Study, home: Home) -> None:
    """Raise `TrialError` if a finished trial shows that its judge says nothing."""
    from sweeper.search.reading import stored_trials

    _, stored = stored_trials(home.storage, study.name)
    reason = next((text for trial in stored if (text := useless(trial["result"] or {}))), "")
    if reason:
        raise TrialError(stopped(reason))


def _tracker(study: Study, home: Home, *, begins: bool) -> Any:
    """Start to write MLflow, which takes seconds at first touch; None if it is off.

    begins: no trial of the study ever began, so that trials which MLflow has are of one that was deleted.
    """
    if not study.tracking.mlflow:
        return None
    from sweeper.tracking.mlflow_tracker import Tracker

    return Tracker(study, home, begins=begins)


def _close(
    study: Study,
    home: Home,
    optuna_study: OptunaStudy,
    before: int,
    tracker: Any,
    conclude: Callable[[StudyRecords], None] | None,
) -> SweepResult:
    """Write the report and finish MLflow; return the outcome."""
    records = study_records(home, study.name)
    report = None
    problems = []
    try:
        collect(records, home.store)
    except TrialError as error:
        problems.append(f"the report lacks what other machines made: {error}")
    try:
        from sweeper.report.report import write_report

        report = home.report(study.name)
        try:
            if conclude is not None:
                conclude(records)
        finally:  # trials that lead to no conclusion have a report all the same
            write_report([records], report, images=study.tracking.images)
    finally:
        if tracker is not None:
            tracker.finish(records, report)
    if tracker is not None:
        if tracker.problem:
            problems.append(tracker.problem)
        else:
            optuna_study.note("closed", _written(optuna_study))
    mixed = mixed_data(records)
    if mixed:
        problems.append(f"the trials are of different data, so no front goes through them: {mixed}")
    failure = ""
    if optuna_study.gave_up:
        failure = f"gave up after {optuna_study.failed_now} failed trials; see their reasons"
    elif not optuna_study.complete:
        failure = "no trial has a result; see their reasons"
    return SweepResult(records, before, report, problems, failure)


def _written(optuna_study: OptunaStudy) -> dict[str, Any]:
    """Return what MLflow has of a study that is written: how many trials, under which switches."""
    return {"trials": optuna_study.complete, **asdict(optuna_study.study.tracking)}


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
    write_text(home.study(study.name) / "study.yaml", dump_yaml(asdict(study)))
