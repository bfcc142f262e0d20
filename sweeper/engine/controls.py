"""Controls of a study in a worker: most are measured once, beside the trials that they judge.

Targets are stopped at the accuracies of the front, which is known at the end alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from sweeper.engine.beside import BesideTrials, Measured
from sweeper.engine.progress import Display, spell
from sweeper.engine.shared_stages import StageMaker
from sweeper.results import formatting
from sweeper.results.controls.figures import CURVES, beside_stopped, still_rising
from sweeper.results.stage_files import per_identity
from sweeper.results.trial_record import VALIDATION, TrialRecord
from sweeper.study.checks import control_options
from sweeper.study.study import Study
from trainables.runtime.background import JobStatus
from trainables.tune import make_controls, make_stopped

NAME = "controls"


class ControlsWorker:
    """A worker that measures controls of `study`; `look` says where it stands.

    options: what `make` is asked for. threads: of a trial, since the undefended target is one and another
    number of threads would train another. gpus: that it takes.
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
    ) -> None:
        self._display, self._seconds = display, 0.0
        self._actor = ray.remote(num_cpus=threads, num_gpus=gpus)(StageMaker).remote(threads)
        self._actor.start.remote(make, study.document({}), options, store_root)
        self._poll = self._actor.poll.remote()

    def look(self, seconds: float = 0.0) -> Measured | None:
        """Return what was measured, JSON-ready, or why nothing could be; None while it works.

        A study goes on without controls: they judge its figures, and none of its trials needs them. seconds:
        to wait for news.
        """
        if not ray.wait([self._poll], timeout=seconds)[0]:
            return None
        try:
            status: JobStatus = ray.get(self._poll)
        except ray.exceptions.RayActorError:
            return "their worker died (killed, or out of memory)"
        if status.state == "failed":
            return status.reason
        if status.state == "complete":
            self._display.ended(NAME, f"ready after {spell(self._seconds)}" if self._seconds else "ready")
            return dict(status.result)
        self._seconds = max(self._seconds, status.seconds)
        self._display.stage(NAME, status.stage, status.done, status.total, status.seconds)
        self._poll = self._actor.poll.remote()
        return None

    def end(self) -> None:
        """End the worker, whatever it has still to do; what it finished is in the store."""
        ray.kill(self._actor)


def measure(worker: ControlsWorker, look: Callable[[], None]) -> Measured:
    """Return what `worker` measures, and end it; `look` is called now and then."""
    found: list[Measured] = []
    beside = BesideTrials(worker, found.append)
    try:
        beside.wait(look)
    finally:
        beside.end()
    return found[0]


def rising(controls: Mapping[str, Any]) -> dict[str, bool | None]:
    """Return, for each control that has a budget curve, whether the attack on it is still rising."""
    return {name: still_rising(controls[name]) for name in CURVES if (controls.get(name) or {}).get("budget")}


def stopped_request(study: Study, members: Sequence[TrialRecord]) -> dict[str, Any] | None:
    """Return what `make_stopped` is asked for; None where the study wants no stopped target, or has no use.

    members: of the front. Those that nothing protects are left out, and those of unknown accuracy.
    """
    from trainables.controls.options import Controls

    options = control_options(study)
    most = 0 if options is None else Controls(**options).stopped
    trials = [
        {"number": trial.number, "trial": study.document(trial.params), VALIDATION: trial.metrics[VALIDATION]}
        for trial in members
        if not formatting.undefended(trial) and trial.metrics.get(VALIDATION) is not None
    ]
    return {"most": most, "trials": trials} if most and trials else None


def measure_stopped(
    study: Study,
    members: Sequence[TrialRecord],
    stored: Mapping[str, Any],
    null: Mapping[str, Any] | None,
    ask: Callable[[dict[str, Any], Callable[..., Any]], Measured],
) -> Measured | None:
    """Return the figures of stopped targets beside the front's trials, to be stored; None if nothing is new.

    stored: those of an earlier end. null: the study's floor, as JSON. ask: `measure` with all but the request
    and what makes it. A string says why they could not be measured.
    """
    request = stopped_request(study, members)
    if request is None:
        return None
    asked = {"most": request["most"], "numbers": [trial["number"] for trial in request["trials"]]}
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
        figures[str(number)] = beside_stopped(own, results.get(str(number)), floor)
    return {"asked": asked, "trials": {**(stored.get("trials") or {}), **figures}}
