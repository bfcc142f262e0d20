"""Shared stages first: the backbone, the prior and the judge are made once, before any trial."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray

from sweeper.engine.progress import Display, spell
from sweeper.study.study import Study
from trainables.errors import ConfigError, DiskError, TrialError
from trainables.runtime.background import BackgroundJob, JobStatus
from trainables.tune import device_here, make_stage

Make = Callable[..., Any]

POLL_SECONDS = 0.5

# The paths of a trial that a shared stage depends on. If the space varies one of them there are several such
# stages; each is then made by the first trial that needs it, while the others wait for it.
INGREDIENTS: Mapping[str, tuple[str, ...]] = {
    "pretrained": ("image_size", "seed", "pretraining", "target.architecture", "target.normalization"),
    "prior": ("image_size", "seed", "public", "prior", "attack.prior"),
    "judge": ("image_size", "seed", "private", "validation", "test", "judge"),
}


class _Maker:
    """An actor that makes one shared stage in a thread."""

    def __init__(self, threads: int) -> None:
        self._background = BackgroundJob(threads)

    def start(self, make: Make, trial: dict[str, Any], stage: str, store_root: str) -> None:
        device = device_here()
        self._background.start(
            lambda report: make(trial, stage, store_root=store_root, device=device, report=report)
        )

    def poll(self) -> JobStatus:
        return self._background.poll(POLL_SECONDS)


def shared_stages(study: Study) -> list[str]:
    """Return the shared stages that are the same for every trial of the study."""
    from search_spaces.space import paths

    varied = paths(study.domains)

    def touches(path: str, ingredient: str) -> bool:
        return path == ingredient or path.startswith(ingredient + ".")

    return [
        stage
        for stage, ingredients in INGREDIENTS.items()
        if not any(touches(path, ingredient) for path in varied for ingredient in ingredients)
    ]


def prepare(
    study: Study,
    store_root: str,
    display: Display,
    *,
    cpus: float,
    gpus: float,
    make: Make = make_stage,
    look: Callable[[], None] = lambda: None,
) -> None:
    """Make the shared stages, side by side where the machine allows; return when all are in the store.

    cpus, gpus: of one machine of the cluster. look: called now and then. Raises what went wrong:
    `ConfigError`, `DiskError` or `TrialError`.
    """
    stages = shared_stages(study)
    if not stages:
        return
    share = max(1, int(cpus // len(stages)))
    needs = {"num_cpus": min(share, cpus), "num_gpus": int(100 / len(stages)) / 100 if gpus >= 1 else 0}
    maker = ray.remote(**needs)(_Maker)
    actors = {stage: maker.remote(share) for stage in stages}
    began = {stage: time.monotonic() for stage in stages}
    try:
        for stage, actor in actors.items():
            actor.start.remote(make, study.document({}), stage, store_root)
        waiting = {actor.poll.remote(): stage for stage, actor in actors.items()}
        while waiting:
            look()
            ready, _ = ray.wait(list(waiting), num_returns=1)
            stage = waiting.pop(ready[0])
            try:
                status: JobStatus = ray.get(ready[0])
            except ray.exceptions.RayActorError:
                raise TrialError(
                    f"the shared stage '{stage}' cannot be made: its worker died (killed, or out of memory)"
                ) from None
            if status.state == "running":
                display.stage(stage, status.stage, status.done, status.total, status.seconds)
                waiting[actors[stage].poll.remote()] = stage
            elif status.state == "failed":
                raise _error(stage, status)
            else:
                display.ended(stage, f"ready after {spell(time.monotonic() - began[stage])}")
                ray.kill(actors.pop(stage))  # so that one that waits for its cores can begin
    finally:
        for actor in actors.values():
            ray.kill(actor)


def _error(stage: str, status: JobStatus) -> Exception:
    if status.cause == "config":
        return ConfigError(status.reason)
    if status.cause == "disk":
        return DiskError(status.reason)
    detail = f"\n{status.trace}" if status.cause == "bug" else ""
    return TrialError(f"the shared stage '{stage}' cannot be made: {status.reason}{detail}")
