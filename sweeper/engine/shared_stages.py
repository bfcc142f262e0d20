"""Shared stages first: the backbone, the prior and the judge of the template, before any trial."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray

from sweeper.engine.machines.cluster import WORKER_RETRIES
from sweeper.engine.progress import Display, Warner, spell, stopped
from sweeper.study.checks import study_controls
from sweeper.study.study import Study
from trainables.errors import ConfigError, DiskError, TrialError
from trainables.runtime.background import BackgroundJob, JobStatus, cause_of, explain
from trainables.tune import device_here, make_stage

Make = Callable[..., Any]
Ended = Callable[[str, float | None], None]

POLL_SECONDS = 0.5

# The paths of a trial that a shared stage depends on. If the space varies one of them there are several such
# stages; each is then made by the first trial that needs it, while the others wait for it. The template's own
# is made before any trial where the study has controls, which are measured on the template.
# On fewer cores than stages the first of them begin: those that are not cut short by a file, as weights are.
INGREDIENTS: Mapping[str, tuple[str, ...]] = {
    "judge": ("image_size", "seed", "split_seed", "judge_seed", "private", "validation", "test", "judge"),
    "prior": ("image_size", "seed", "prior_seed", "public", "prior", "attack.prior"),
    "pretrained": ("image_size", "seed", "pretraining", "target.architecture", "target.normalization"),
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


class Worker:
    """A `StageMaker` at work; one that dies is followed by another, `WORKER_RETRIES` times.

    name: under which it is shown. work: what `StageMaker.start` is told. news: of Ray, what it will say next.
    """

    def __init__(
        self, name: str, work: tuple[Any, ...], display: Display, *, cpus: float, gpus: float
    ) -> None:
        self._name, self._work, self._display, self._deaths = name, work, display, 0
        self._threads = max(1, int(cpus))
        self._maker = ray.remote(num_cpus=cpus, num_gpus=gpus)(StageMaker)
        self._begin()

    def _begin(self) -> None:
        self._actor = self._maker.remote(self._threads)
        self._started = self._actor.start.remote(*self._work)
        self.news = self._actor.poll.remote()

    def look(self) -> JobStatus | None:
        """Return where it stands, once `news` are there; None where it died, and another has begun.

        Raises `TrialError` for one death too many.
        """
        try:
            ray.get(self._started)  # one that could not begin would look complete, without a result
            status: JobStatus = ray.get(self.news)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            return JobStatus("failed", reason=explain(cause), cause=cause_of(cause), trace=str(error))
        except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError):
            self._deaths += 1
            if self._deaths > WORKER_RETRIES:
                raise TrialError(f"the worker died {self._deaths} times (killed, or out of memory)") from None
            self.end()  # one that is only out of reach would go on
            self._display.say(f"the worker of '{self._name}' died; another goes on with it")
            self._begin()
            return None
        if status.state == "running":
            self._display.stage(self._name, status.stage, status.done, status.total, status.seconds)
            self.news = self._actor.poll.remote()
        return status

    def end(self) -> None:
        """End the worker, whatever it has still to do; what it finished is in the store."""
        ray.kill(self._actor)


def shared_stages(study: Study) -> list[str]:
    """Return the stages that are made before any trial, of the study's template: those that are the same for
    every trial, and all of them where there are controls."""
    from search_spaces.space import paths

    varied = [] if study_controls(study) else paths(study.domains)

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
    share = min(max(1, int(cpus // places)), cpus)
    share_gpus = int(100 / places) / 100 if gpus >= 1 else 0
    workers: dict[str, Worker] = {}
    began: dict[str, float] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < places:
                stage = waiting.pop(0)
                work = make, study.document({}), stage, store_root
                workers[stage] = Worker(stage, work, display, cpus=share, gpus=share_gpus)
                began[stage] = time.monotonic()
            look()
            ready, _ = ray.wait([worker.news for worker in workers.values()], num_returns=1)
            stage = next(name for name, worker in workers.items() if worker.news == ready[0])
            try:
                status = workers[stage].look()
            except TrialError as error:
                raise TrialError(f"the shared stage '{stage}' cannot be made: {error}") from None
            if status is None or status.state == "running":
                continue
            if status.state == "failed":
                raise _error(stage, status)
            seconds = _seconds(status, time.monotonic() - began[stage])
            display.ended(stage, "reused" if seconds is None else f"ready after {spell(seconds)}")
            ended(stage, seconds)
            warner.tell(status.result.get("warnings", ()), stage)
            useless = useless or status.result.get("useless", "")
            workers.pop(stage).end()  # so that one that waits for its cores can begin
    finally:
        for worker in workers.values():
            worker.end()
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
