"""A sweep before it runs: the resolved study, how many trials, what they will cost here."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import yaml

from sweeper.engine.progress import spell
from sweeper.engine.resources import Node, ProcessResources
from sweeper.storage.home import Home
from sweeper.study.study import Study

if TYPE_CHECKING:  # torch takes seconds
    from trainables.config import TrialConfig


def show_plan(study: Study, home: Home) -> None:
    """Print the resolved study as YAML, the trials, and the estimated seconds of one trial's stages.

    Also what must be known of the data, and where a contact sheet of them lies: in the home folder, because
    it shows private images.
    """
    from search_spaces.space import anchors, size
    from trainables.config import load_trial
    from trainables.cost import estimate
    from trainables.stages.data import data_warnings

    print(yaml.safe_dump(asdict(study), sort_keys=False).rstrip())
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
    template = load_trial(study.trial)
    for text in data_warnings(template):
        print(f"# WARNING: {text}")
    print(f"# {_contact_sheet(template, home, study.name)}")
    device = _device()
    seconds = estimate(template, device)
    shown = ", ".join(f"{stage} {spell(value)}" for stage, value in seconds.items())
    once = sum(value for stage, value in seconds.items() if stage in ("pretrained", "prior", "judge"))
    each = sum(seconds.values()) - once
    print(f"# estimated on {device}, undefended and alone on the machine: {shown}")
    print(
        f"# in all about {spell(once + study.budget * seeds * each)} of work, before trials share the machine"
    )


def _contact_sheet(config: "TrialConfig", home: Home, name: str) -> str:
    """Draw what training will see into the study's folder, and return where it lies, or why it does not."""
    from trainables.pretraining.dataset import OnDataset
    from trainables.stages.data import load_data
    from trainables.training.contact_sheet import contact_sheet

    data = load_data(config)
    others = {"public": data.public}
    if isinstance(config.pretraining, OnDataset):
        others["pre-training"] = config.pretraining.data.load(config.image_size)
    sheet = contact_sheet(data.split.train, others, config.target.augmentation, config.seed)
    place = home.study(name) / "contact_sheet.png"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(place)
    except OSError as error:
        return f"no contact sheet: {place} cannot be written ({error.strerror})"
    return f"contact sheet: {place} (what training will see; private images: it is kept in the home alone)"


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
