"""Controls of a study in a worker: most are measured once, beside the trials that they judge.

Targets are stopped at the accuracies of the front, which is known at the end alone.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ray

from sweeper.engine.collect import collect
from sweeper.engine.interrupt import Stopping, stoppable
from sweeper.engine.machines.cluster import TrialResources
from sweeper.engine.progress import Display, Warner, spell
from sweeper.engine.shared_stages import Worker
from sweeper.results import formatting
from sweeper.results.comparing.undefended import defended_trials
from sweeper.results.controls.figures import CURVES, beside_stopped, still_rising
from sweeper.results.records import study_records
from sweeper.results.stage_files import per_identity
from sweeper.results.trial_record import VALIDATION, TrialRecord
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import CONTROLS, STOPPED, lacks_controls
from sweeper.storage.home import Home
from sweeper.study.checks import study_controls
from sweeper.study.study import Study
from trainables.errors import TrialError
from trainables.tune import make_controls, make_stopped

NAME = "controls"
LOOK_SECONDS = 1.0
Measured = dict[str, Any] | str


class ControlsWorker:
    """A worker that measures controls of `study`; `look` says where it stands.

    options: what `make` is asked for. threads: of a trial, since the undefended target is one and another
    number of threads would train another. gpus: that it takes. name: under which it is shown.
    """

    def __init__(
        self,
        study: Study,
        options: Any,
        store_root: str,
        display: Display,
        *,
        threads: int,
        gpus: float,
        make: Callable[..., Any] = make_controls,
        name: str = NAME,
    ) -> None:
        self._display, self._name, self._seconds = display, name, 0.0
        work = make, study.document({}), options, store_root
        self._worker = Worker(name, work, display, cpus=threads, gpus=gpus)

    def look(self, seconds: float = 0.0) -> Measured | None:
        """Return what was measured, JSON-ready, or why nothing could be; None while it works.

        A study goes on without controls: they judge its figures, and none of its trials needs them. seconds:
        to wait for news.
        """
        if not ray.wait([self._worker.news], timeout=seconds)[0]:
            return None
        try:
            status = self._worker.look()
        except TrialError as error:
            return str(error)
        if status is None:
            return None
        if status.state == "failed":
            return status.reason
        if status.state == "complete":
            self._display.ended(
                self._name, f"ready after {spell(self._seconds)}" if self._seconds else "ready"
            )
            return dict(status.result)
        self._seconds = max(self._seconds, status.seconds)
        return None

    def end(self) -> None:
        """End the worker, whatever it has still to do; what it finished is in the store."""
        self._worker.end()


class BesideTrials:
    """Controls that are measured beside the trials of a sweep, each worker in the place of one of them.

    workers: measure them; none where nothing is to be measured. keep: is told what each measured.
    """

    def __init__(self, workers: Sequence[ControlsWorker], keep: Callable[[Measured], None]) -> None:
        self._workers, self._keep = list(workers), keep

    @property
    def places(self) -> int:
        """Return how many trials' places they take now."""
        return len(self._workers)

    def look(self, seconds: float = 0.0) -> None:
        """Keep what was measured, once it is; wait for news of each so many seconds at most."""
        for worker in list(self._workers):
            found = worker.look(seconds)
            if found is not None:
                self._workers.remove(worker)
                worker.end()
                self._keep(found)

    def wait(self, look: Callable[[], None]) -> None:
        """Come back once all is measured; `look` is called now and then."""
        while self._workers:
            look()
            self.look(LOOK_SECONDS)

    def end(self) -> None:
        """End the workers that still work."""
        while self._workers:
            self._workers.pop().end()


def rising(controls: Mapping[str, Any]) -> dict[str, bool | None]:
    """Return, for each control that has a budget curve, whether the attack on it is still rising."""
    return {name: still_rising(controls[name]) for name in CURVES if (controls.get(name) or {}).get("budget")}


def stopped_request(study: Study, members: Sequence[TrialRecord]) -> dict[str, Any] | None:
    """Return what `make_stopped` is asked for; None where the study wants no stopped target, or has no use.

    members: of the front. Those that nothing protects are left out, and those of unknown accuracy.
    """
    controls = study_controls(study)
    if controls is None:
        return None
    trials = [
        {"number": trial.number, "trial": study.document(trial.params), VALIDATION: trial.metrics[VALIDATION]}
        for trial in members
        if not formatting.undefended(trial) and trial.metrics.get(VALIDATION) is not None
    ]
    if not controls.stopped or not trials:
        return None
    return {"most": controls.stopped, "alike": controls.stopped_alike, "trials": trials}


def measure_stopped(
    study: Study,
    members: Sequence[TrialRecord],
    stored: Mapping[str, Any],
    null: Mapping[str, Any] | None,
    ask: Callable[[dict[str, Any], Callable[..., Any]], Measured],
    *,
    competed: int = 1,
) -> Measured | None:
    """Return the figures of stopped targets beside the front's trials, to be stored; None if nothing is new.

    stored: those of an earlier end. null: the study's floor, as JSON. ask: measures what a request asks for,
    with the function that makes it. A string says why they could not be measured. competed: see
    `beside_stopped`.
    """
    request = stopped_request(study, members)
    if request is None:
        return None
    asked = {"most": request["most"], "numbers": [trial["number"] for trial in request["trials"]]}
    if request["alike"]:  # what was asked before there was a choice is not asked again
        asked["alike"] = True
    if stored.get("asked") == asked:
        return None
    results = ask(request, make_stopped)
    if isinstance(results, str):
        return results
    floor = None if null is None else null["interval"][1]
    rates = dict(zip((trial.number for trial in members), per_identity(members), strict=True))
    figures = {}
    for number in asked["numbers"]:
        known = rates[number]
        own = None if known is None else known.tolist()
        figures[str(number)] = beside_stopped(own, results.get(str(number)), floor, competed=competed)
    return {"asked": asked, "trials": {**(stored.get("trials") or {}), **figures}}


@contextmanager
def controls_beside(
    study: Study,
    home: Home,
    options: Mapping[str, Any] | None,
    allotment: TrialResources,
    display: Display,
    optuna_study: OptunaStudy,
    warner: Warner,
) -> Iterator[BesideTrials]:
    """Begin to measure controls, unless the study has them or wants none (None); they are kept with it.

    Where no two trials run at once they are measured before any, and else beside the trials.
    """
    alone = allotment.concurrent == 1
    workers = []
    if options is not None and lacks_controls(optuna_study.notes, options):
        workers = [_worker(study, home, allotment, display, dict(options), make_controls, alone=alone)]
    beside = BesideTrials(workers, functools.partial(_keep_controls, options, optuna_study, warner))
    try:
        if alone:
            _wait(beside, display)
        yield beside
        _wait(beside, display)
    finally:
        beside.end()


def _keep_controls(options: Any, optuna_study: OptunaStudy, warner: Warner, results: Any) -> None:
    """Keep what the controls measured with the study; tell what a reader must know of it."""
    if isinstance(results, str):
        warner.tell([f"no controls, so nobody knows what the attack's figures can tell: {results}"], "")
        return
    verdict, rises = results["verdict"] or {}, rising(results)  # read before anything is kept
    optuna_study.note(CONTROLS, {"options": options, **results, **({"still_rising": rises} if rises else {})})
    if verdict.get("verdict") == "cannot tell":
        warner.tell([f"this study cannot tell: {verdict['reason']}"], "")


def _wait(beside: BesideTrials, display: Display) -> None:
    """Come back once all that is measured beside the trials is; a signal ends it."""
    stopping = Stopping(lambda: None)
    with stoppable(stopping):
        beside.wait(lambda: stopping.say(display))


def _worker(
    study: Study,
    home: Home,
    allotment: TrialResources,
    display: Display,
    request: dict[str, Any],
    make: Callable[..., Any],
    *,
    alone: bool,
    name: str = NAME,
) -> ControlsWorker:
    """Return a worker with the threads of a trial, and a GPU of its own where nothing runs beside it."""
    gpus = min(1, int(allotment.node_gpus)) if alone else min(1.0, allotment.gpus)
    root = str(home.store.root)
    threads = allotment.threads
    return ControlsWorker(study, request, root, display, threads=threads, gpus=gpus, make=make, name=name)


def _shared(
    study: Study,
    home: Home,
    allotment: TrialResources,
    display: Display,
    request: dict[str, Any],
    make: Callable[..., Any],
) -> Measured:
    """Return what `request` asks for by trial, each worker measuring its share, or why one of them could not.

    As many work as trials run at once, if there is something for each. A signal ends them all.
    """
    count = max(1, min(allotment.concurrent, request["most"], len(request["trials"])))
    workers = [
        _worker(
            study,
            home,
            allotment,
            display,
            {**request, "share": [number, count]},
            make,
            alone=count == 1,
            name=f"{NAME} {number + 1}" if number else NAME,
        )
        for number in range(count)
    ]
    found: list[Measured] = []
    beside = BesideTrials(workers, found.append)
    try:
        _wait(beside, display)
    finally:
        beside.end()
    merged: dict[str, Any] = {}
    for part in found:
        if isinstance(part, str):
            return part
        for number, control in part.items():
            merged[number] = control or merged.get(number)
    return merged


def measure_after(
    study: Study,
    home: Home,
    allotment: TrialResources,
    display: Display,
    optuna_study: OptunaStudy,
    warner: Warner,
) -> None:
    """Measure the controls that need the front, and hold the others against the noise of training seeds."""
    if not optuna_study.finished:
        return
    notes = optuna_study.notes
    stored = notes.get(STOPPED) or {}
    records = study_records(home, study.name, history=False)
    with suppress(TrialError):  # told at the end
        collect(records, home.store)
    results = measure_stopped(
        study,
        records.members,
        stored,
        (records.controls or {}).get("null"),
        functools.partial(_shared, study, home, allotment, display),
        competed=max(1, len(defended_trials(records))),
    )
    if isinstance(results, str):
        warner.tell([f"no undefended target was stopped at the accuracies of the front: {results}"], "")
    new = results if isinstance(results, dict) else stored
    optuna_study.note(STOPPED, {**new, "due": isinstance(results, str)})
    if records.controls is None or dict(records.controls) == notes.get(CONTROLS):
        return
    optuna_study.note(CONTROLS, dict(records.controls))
    if records.verdict == "cannot tell":
        warner.tell([f"with the noise of training seeds this study cannot tell: {records.reason}"], "")
