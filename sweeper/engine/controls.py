"""Controls of a study in a worker: most are measured once, before the trials that they judge.

Targets are stopped at the accuracies of the front, which is known at the end alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

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
Measured = dict[str, Any] | str


def measure(
    study: Study,
    options: Mapping[str, Any],
    store_root: str,
    display: Display,
    *,
    threads: int,
    gpus: float,
    make: Callable[..., Any] = make_controls,
    look: Callable[[], None] = lambda: None,
) -> Measured:
    """Return what the controls of `study` measured, JSON-ready, or why they could not be measured.

    A study goes on without controls: they judge its figures, and none of its trials needs them. threads: of a
    trial, since the undefended target is one and another number of threads would train another. gpus: of one
    machine of the cluster. look: called now and then.
    """
    actor = ray.remote(num_cpus=threads, num_gpus=min(1, int(gpus)))(StageMaker).remote(threads)
    try:
        actor.start.remote(make, study.document({}), dict(options), store_root)
        seconds = 0.0
        while True:
            look()
            try:
                status: JobStatus = ray.get(actor.poll.remote())
            except ray.exceptions.RayActorError:
                return "their worker died (killed, or out of memory)"
            if status.state == "failed":
                return status.reason
            if status.state == "complete":
                display.ended(NAME, f"ready after {spell(seconds)}" if seconds else "ready")
                return dict(status.result)
            seconds = max(seconds, status.seconds)
            display.stage(NAME, status.stage, status.done, status.total, status.seconds)
    finally:
        ray.kill(actor)


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
