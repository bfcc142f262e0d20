"""Controls of a study in a worker: measured once, before the trials that they judge."""

from collections.abc import Callable, Mapping
from typing import Any

import ray

from sweeper.engine.progress import Display, spell
from sweeper.engine.shared_stages import StageMaker
from sweeper.study.study import Study
from trainables.runtime.background import JobStatus
from trainables.tune import make_controls

NAME = "controls"


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
) -> dict[str, Any] | str:
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
