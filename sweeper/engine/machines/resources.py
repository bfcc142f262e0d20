"""Resources of a trial's processes, and how many such trials fit on the machines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sweeper.study.study import Resources
from trainables.errors import ConfigError

TINY = 1e-9  # shares are rounded decimals: three of 0.33333 fit on one GPU


@dataclass(frozen=True)
class Node:
    """One machine of a cluster."""

    cpus: float
    gpus: float


@dataclass(frozen=True)
class ProcessResources:
    """Resources of one process: cores, and a part of one GPU or whole ones."""

    cpus: float
    gpus: float


def count_shards(resources: Resources, gpus: float) -> int:
    """Return how many processes an attack is spread over; `gpus`: of all machines."""
    if resources.attack_shards != "auto":
        return int(resources.attack_shards)
    if resources.gpus_per_trial != "auto":
        return max(1, int(resources.gpus_per_trial))
    return 1 if resources.concurrent == "auto" else max(1, int(gpus / resources.concurrent))


def per_process(resources: Resources, shards: int) -> Resources:
    """Return `resources` with more than one GPU per trial divided among its processes."""
    gpus = resources.gpus_per_trial
    if gpus == "auto" or gpus <= 1:
        return resources
    return replace(resources, gpus_per_trial=gpus / shards if gpus < shards else float(gpus // shards))


def shard_share(resources: Resources, own: ProcessResources) -> ProcessResources:
    """Return what a process beside the trial's `own` gets."""
    cpus, gpus = resources.cpus_per_shard, resources.gpus_per_shard
    return ProcessResources(own.cpus if cpus == "auto" else cpus, own.gpus if gpus == "auto" else gpus)


def check_fitting(trial: Sequence[ProcessResources], nodes: Sequence[Node], most: int) -> int:
    """Return how many trials fit, at most `most`; raise `ConfigError` if not even one does."""
    fit = fitting(trial, nodes, most)
    if not fit:
        cpus, gpus = sum(share.cpus for share in trial), sum(share.gpus for share in trial)
        have = ", ".join(f"{node.cpus:g} cores and {node.gpus:g} GPUs" for node in nodes)
        raise ConfigError(
            f"resources.attack_shards {len(trial)} makes a trial need {cpus:g} cores and {gpus:g} GPUs, in "
            f"{len(trial)} processes, which do not fit on what there is: {have}; ask for fewer attack_shards "
            "or a smaller cpus_per_shard or gpus_per_shard"
        )
    return fit


def fitting(trial: Sequence[ProcessResources], nodes: Sequence[Node], most: int) -> int:
    """Return how many trials, each of the processes `trial`, fit on `nodes` side by side: 0 to `most`.

    A process runs on one machine, and a part of a GPU is of one GPU. Places are taken in order, the first
    that has room.
    """
    cpus = [node.cpus for node in nodes]
    gpus = [[1.0] * int(node.gpus) for node in nodes]
    for count in range(most):
        for share in trial:
            for index, left in enumerate(gpus):
                taken = _take(left, share.gpus) if cpus[index] >= share.cpus - TINY else None
                if taken is not None:
                    cpus[index] -= share.cpus
                    gpus[index] = taken
                    break
            else:
                return count
    return most


def _take(left: Sequence[float], share: float) -> list[float] | None:
    """Return what is left of each GPU once `share` is taken, from the fullest that has room; None if none."""
    gpus = sorted(left)
    if share > 1:
        free = [index for index, gpu in enumerate(gpus) if gpu >= 1 - TINY][: int(share)]
        if len(free) < int(share):
            return None
        return [0.0 if index in free else gpu for index, gpu in enumerate(gpus)]
    if share <= 0:
        return gpus
    for index, gpu in enumerate(gpus):
        if gpu >= share - TINY:
            return [*gpus[:index], gpu - share, *gpus[index + 1 :]]
    return None
