"""Shared stages first: the backbone, the prior and the judge are made once, before any trial."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray

from sweeper.engine.machines.cluster import WORKER_RETRIES
from sweeper.engine.progress import Display, Warner, spell, stopped
from sweeper.study.study import Study
from trainables.errors import ConfigError, DiskError, TrialError
from trainables.runtime.background import BackgroundJob, JobStatus
from trainables.tune import device_here, make_stage

Make = Callable[..., Any]
Ended = Callable[[str, float | None], None]

POLL_SECONDS = 0.5

# The paths of a trial that a shared stage depends on. If the space varies one of them there are several such
# stages; each is then made by the first trial that needs it, while the others wait for it.
INGREDIENTS: Mapping[str, tuple[str, ...]] = {
    "pretrained": ("image_size", "seed", "pretraining", "target.architecture", "target.normalization"),
    "prior": ("image_size", "seed", "prior_seed", "public", "prior", "attack.prior"),
    "judge": ("image_size", "seed", "split_seed", "judge_seed", "private", "validation", "test", "judge"),
}


class StageMaker:
    """An actor that makes one shared stage in a thread, at the priority of any other program."""

    def __init__(self, threads: int) -> None:
        self._background = BackgroundJob(threads, niceness=0)

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
    ended: Ended = lambda stage, seconds: None,
    warner: Warner | None = None,
    anyway: bool = False,
) -> None:
    """Make the shared stages, side by side where the machine allows; return when all are in the store.

    With ``resources.concurrent`` set, no more of them are made at once than that. cpus, gpus: of one machine
    of the cluster. look: called now and then. ended: told of each stage with the seconds that it took, None
    if it was made before. warner: tells what a reader must know of a stage, as soon as it is ready. Raises
    what went wrong: `ConfigError`, `DiskError` or `TrialError`. A judge that says nothing is one, unless
    `anyway`; it is raised once the other stages are in the store.
    """
    warner, useless = warner or Warner(display), ""
    waiting = shared_stages(study)
    if not waiting:
        return
    places = places_for(study, len(waiting))
    share = max(1, int(cpus // places))
    needs = {"num_cpus": min(share, cpus), "num_gpus": int(100 / places) / 100 if gpus >= 1 else 0}
    maker = ray.remote(**needs)(StageMaker)
    actors: dict[str, Any] = {}
    polls: dict[Any, str] = {}
    began: dict[str, float] = {}
    deaths: dict[str, int] = {}
    try:
        while waiting or polls:
            while waiting and len(actors) < places:
                stage = waiting.pop(0)
                actors[stage] = maker.remote(share)
                actors[stage].start.remote(make, study.document({}), stage, store_root)
                polls[actors[stage].poll.remote()] = stage
                began[stage] = time.monotonic()
            look()
            ready, _ = ray.wait(list(polls), num_returns=1)
            stage = polls.pop(ready[0])
            try:
                status: JobStatus = ray.get(ready[0])
            except ray.exceptions.RayActorError:
                ray.kill(actors.pop(stage))
                deaths[stage] = deaths.get(stage, 0) + 1
                if deaths[stage] > WORKER_RETRIES:
                    raise TrialError(
                        f"the shared stage '{stage}' cannot be made: its worker died {deaths[stage]} times "
                        "(killed, or out of memory)"
                    ) from None
                display.say(f"the worker that made '{stage}' died; another goes on with it")
                waiting.insert(0, stage)
                continue
            if status.state == "running":
                display.stage(stage, status.stage, status.done, status.total, status.seconds)
                polls[actors[stage].poll.remote()] = stage
            elif status.state == "failed":
                raise _error(stage, status)
            else:
                seconds = _seconds(status, time.monotonic() - began[stage])
                display.ended(stage, "reused" if seconds is None else f"ready after {spell(seconds)}")
                ended(stage, seconds)
                warner.tell(status.result.get("warnings", ()), stage)
                useless = useless or status.result.get("useless", "")
                ray.kill(actors.pop(stage))  # so that one that waits for its cores can begin
    finally:
        for actor in actors.values():
            ray.kill(actor)
    if useless and not anyway:
        raise TrialError(stopped(useless))


def places_for(study: Study, stages: int) -> int:
    """Return how many of the shared stages may be made at once."""
    concurrent = study.resources.concurrent
    return stages if concurrent == "auto" else min(stages, concurrent)


def _seconds(status: JobStatus, waited: float) -> float | None:
    """Return how long a finished stage took to make, None if it was reused; `waited` if nobody tells."""
    if not status.result.get("made_now", True):
        return None
    return float(status.result.get("seconds", waited))


def _error(stage: str, status: JobStatus) -> Exception:
    if status.cause == "config":
        return ConfigError(status.reason)
    if status.cause == "disk":
        return DiskError(status.reason)
    detail = f"\n{status.trace}" if status.cause == "bug" else ""
    return TrialError(f"the shared stage '{stage}' cannot be made: {status.reason}{detail}")
