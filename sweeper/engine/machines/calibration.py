"""A sweep's stages timed in miniature before it begins: in a worker with the resources of a trial."""

from typing import Any

from sweeper.engine.machines.cluster import TrialResources
from sweeper.study.study import Study
from trainables.runtime.duration import Duration

PATIENCE = 120.0  # seconds; an estimate is not worth more


def variants(study: Study) -> list[dict[str, Any]]:
    """Return the trials at the ends of the study's space, and the published ones in between, as documents."""
    from search_spaces.space import anchors, decode

    starts = (decode(study.domains, raw) for raw in anchors(study.domains))
    return [study.document(assignment) for assignment in starts if study.offers(assignment)]


def calibrate(study: Study, allotment: TrialResources) -> dict[str, Duration]:
    """Return the estimated seconds of a trial's stages, measured where trials will run; empty if that fails.

    An estimate is for information: what is wrong with the trial is told by the trial.
    """
    import ray

    needs = {"num_cpus": allotment.cpus, "num_gpus": allotment.gpus, "max_retries": 0}
    task = ray.remote(**needs)(_measured).remote(study.document({}), variants(study), allotment.threads)
    try:
        ends: dict[str, tuple[float, float]] = ray.get(task, timeout=PATIENCE)
    except ray.exceptions.RayError:
        ray.cancel(task, force=True)
        return {}
    return {stage: Duration(low=low, high=high) for stage, (low, high) in ends.items()}


def _measured(
    trial: dict[str, Any], others: list[dict[str, Any]], threads: int
) -> dict[str, tuple[float, float]]:
    """Return stage -> (low, high) in seconds, of a worker with so many threads."""
    from trainables.config import load_trial
    from trainables.cost import estimate
    from trainables.runtime.background import limit_threads
    from trainables.tune import device_here

    limit_threads(threads)
    seconds = estimate(
        load_trial(trial), device_here(), threads=threads, variants=[load_trial(other) for other in others]
    )
    return {stage: (duration.low, duration.high) for stage, duration in seconds.items()}
