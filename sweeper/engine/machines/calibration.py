"""A sweep's stages timed in miniature as it begins: in a worker with the resources of a trial."""

import functools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sweeper.engine.machines.cluster import TrialResources
from sweeper.engine.remaining import OF_A_TRIAL, SHARED
from sweeper.study.study import Study
from trainables.runtime.duration import Duration

PATIENCE = 120.0  # seconds; an estimate is not worth more


def variants(study: Study) -> list[dict[str, Any]]:
    """Return the trials at the ends of the study's space, and the published ones in between, as documents."""
    from search_spaces.space import anchors, decode

    starts = (decode(study.domains, raw) for raw in anchors(study.domains))
    return [study.document(assignment) for assignment in starts if study.offers(assignment)]


class Calibration:
    """The estimated seconds of a trial's stages, measured where trials will run, beside other work.

    niceness: of trials, at which their stages are timed: beside other work that is most of what they take.
    An estimate is for information: what is wrong with the trial is told by the trial.
    """

    def __init__(self, study: Study, allotment: TrialResources, niceness: int) -> None:
        import ray

        needs = {"num_cpus": allotment.cpus, "num_gpus": allotment.gpus, "max_retries": 0}
        self._task = ray.remote(**needs)(_measured).remote(
            study.document({}), variants(study), allotment.threads, niceness
        )
        self._end = time.monotonic() + PATIENCE

    def look(self, *, wait: bool = False) -> dict[str, Duration] | None:
        """Return seconds by stage, empty if measuring failed; None while it is measured, unless to `wait`."""
        import ray

        left = max(0.0, self._end - time.monotonic())
        if not ray.wait([self._task], timeout=left if wait else 0)[0] and left and not wait:
            return None
        try:
            ends: dict[str, tuple[float, float]] = ray.get(self._task, timeout=0)
        except ray.exceptions.RayError:
            ray.cancel(self._task, force=True)
            return {}
        return {stage: Duration(low=low, high=high) for stage, (low, high) in ends.items()}


def _measured(
    trial: dict[str, Any], others: list[dict[str, Any]], threads: int, niceness: int
) -> dict[str, tuple[float, float]]:
    """Return stage -> (low, high) in seconds, of a worker with so many threads.

    Stages that trials share are timed at its own niceness; the others in a thread of their own, since what
    became nicer cannot go back.
    """
    from trainables.config import load_trial
    from trainables.cost import estimate
    from trainables.runtime.background import limit_threads, set_niceness
    from trainables.tune import device_here

    limit_threads(threads)
    timed = functools.partial(
        estimate,
        load_trial(trial),
        device_here(),
        threads=threads,
        variants=[load_trial(other) for other in others],
    )
    with ThreadPoolExecutor(1, initializer=set_niceness, initargs=(niceness,)) as aside:
        seconds = timed(stages=SHARED) | aside.submit(timed, stages=OF_A_TRIAL).result()
    return {stage: (duration.low, duration.high) for stage, duration in seconds.items()}
