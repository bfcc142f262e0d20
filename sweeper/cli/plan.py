"""A sweep before it runs: the resolved study, how many trials, what they will cost here."""

import os
from dataclasses import asdict

from sweeper.engine.progress import spell
from sweeper.engine.resources import Node, ProcessResources
from sweeper.storage.home import Home
from sweeper.study.study import Study
from trainables.storage.strict_yaml import dump_yaml


def show_plan(study: Study, home: Home) -> None:
    """Print the resolved study as YAML, the trials, and the estimated seconds of one trial's stages."""
    from search_spaces.space import anchors, size
    from trainables.config import load_trial
    from trainables.cost import estimate

    print(dump_yaml(asdict(study)).rstrip())
    available = size(study.domains)
    wide = "endless" if available is None else f"{available} assignments"
    first = 0 if study.search.sampler == "grid" or not study.search.anchors else len(anchors(study.domains))
    print(f"\n# home: {home.root}")
    print(f"# trials: {study.budget} (space: {wide}; {min(first, study.budget)} anchors first)")
    seeds = study.search.replicates
    if seeds > 1:
        print(f"# each trained and attacked under {seeds} seeds")
    if study.search.screening:
        share = study.search.screening_share
        print(
            f"# a short attack first ({share:.0%} of the steps); the long one is skipped where that suffices"
        )
    print(f"# {_shares(study)}")
    device = _device()
    seconds = estimate(load_trial(study.trial), device)
    shown = ", ".join(f"{stage} {spell(value)}" for stage, value in seconds.items())
    once = sum(value for stage, value in seconds.items() if stage in ("pretrained", "prior", "judge"))
    each = sum(seconds.values()) - once
    print(f"# estimated on {device}, undefended and alone on the machine: {shown}")
    print(
        f"# in all about {spell(once + study.budget * seeds * each)} of work, before trials share the machine"
    )


def _shares(study: Study) -> str:
    """Return what a trial would get of this machine alone."""
    from sweeper.engine.cluster import allot
    from trainables.errors import ConfigError

    def say(share: ProcessResources) -> str:
        cores = f"{share.cpus:g} core{'' if share.cpus == 1 else 's'}"
        return cores + (f" and {share.gpus:g} GPU" if share.gpus else "")

    try:
        got = allot(study.resources, [_machine()])
    except ConfigError as error:
        return f"does not fit on this machine: {error}"
    first, *others = got.processes
    spread = f", and {len(others)} x {say(others[0])} for its attacks' other shards" if others else ""
    return f"on this machine, up to {got.concurrent} at once, each on {say(first)}{spread}"


def _machine() -> Node:
    import torch

    return Node(float(len(os.sched_getaffinity(0))), float(torch.cuda.device_count()))


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
