"""Weights of a file under our names: which network in it is meant, and whether it fits."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from trainables.architectures import get_architecture
from trainables.architectures.base import Architecture
from trainables.errors import ConfigError
from trainables.pretraining.base import StagesState
from trainables.storage.weights import listed, misfits

HEADS = ("neck.", "head.", "heads.", "classifier.", "fc.")  # of our own files and of torchvision's
# Modules that a training program keeps beside the network, and that have no part in what it answers.
BESIDE = re.compile(r"(^|_)(loss|losses|criterion|criteria|metric|metrics)(_|\d|$)")
COUNTER = "num_batches_tracked"  # old files lack it


def matched(architecture: str, image_size: int, weights: Mapping[str, Tensor], where: str) -> StagesState:
    """Return the stage weights in `weights`, a state dict in our names or torchvision's, under our names.

    Other networks and losses in it: see `network_in`; the rest, as `stages_in`.
    """
    network = network_in(architecture, image_size, weights, where)
    return stages_in(architecture, image_size, network, where)


def stages_in(
    architecture: str,
    image_size: int,
    weights: Mapping[str, Tensor],
    where: str,
    *,
    subject: str = "pretraining",
    remedy: str = "choose the architecture that the file was saved from",
) -> StagesState:
    """Return the stage weights in `weights`, those of one network, under our names.

    subject, remedy: whose weights they are to be, and what to do if they are not, for the error.
    Raises `ConfigError` naming what is missing, surplus or of another shape. Counters of the batches
    that batch norm saw may be missing, as in old files.
    """
    entry, expected = _expected(architecture, image_size)
    theirs = max(_namings(entry, expected), key=lambda names: sum(n in weights for n in names.values()))
    counters = {name for name in expected if name.endswith(COUNTER)}
    needed = {
        theirs[name]: value
        for name, value in expected.items()
        if theirs[name] in weights or name not in counters
    }
    ignored = _beside_stages(entry)
    given = {name: value for name, value in weights.items() if name in needed or not name.startswith(ignored)}
    if problems := misfits(needed, given):
        raise ConfigError(
            f"{subject} expects the weights of {architecture}; {where} does not fit: {problems}; {remedy}"
        )
    zero = torch.zeros((), dtype=torch.int64)
    return {name: weights.get(theirs[name], zero).clone() for name in expected}


def network_in(
    architecture: str, image_size: int, weights: Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    """Return the weights of the one network in `weights` that has all stages of `architecture`.

    Training programs keep it under a prefix ("model."), beside losses and counters, which are left out. A
    single linear layer beside the stages, under any name, becomes "head.". Where nothing fits, all are
    returned. Raises `ConfigError` where several networks fit, and for other weights beside one that has a
    prefix.
    """
    entry, expected = _expected(architecture, image_size)
    found: dict[frozenset[str], str] = {}
    for naming in _namings(entry, expected):
        needed = [name for ours, name in naming.items() if not ours.endswith(COUNTER)]
        for start in (name.removesuffix(needed[0]) for name in weights if name.endswith(needed[0])):
            used = frozenset(start + name for name in naming.values())
            if (not start or start.endswith(".")) and all(start + name in weights for name in needed):
                found[used] = min(start, found.get(used, start), key=len)
    if len(found) > 1:
        starts = sorted(found.values())
        raise ConfigError(
            f"expected one {architecture} in {where}, got {len(found)}, under {listed(starts)}; save one "
            f"alone, as {{k: v for k, v in state_dict.items() if k.startswith({starts[0]!r})}}"
        )
    if not found:
        return dict(weights)
    [(used, start)] = found.items()
    known = _beside_stages(entry)
    names = {
        name: name.removeprefix(start)
        for name, value in weights.items()
        if name in used or name.removeprefix(start).startswith(known) or not _is_aside(name, value)
    }
    rest = [name for name, own in names.items() if name not in used and not own.startswith(known)]
    rest += [name for name in names if start and start + name in names]  # a second head
    if _is_linear({name: weights[name] for name in rest}) and not any(
        own.startswith(HEADS) for name, own in names.items() if name not in rest
    ):
        names |= {name: f"head.{name.rpartition('.')[2]}" for name in rest}
    elif others := [name for name in rest if not name.startswith(start)]:
        raise ConfigError(
            f"expected one {architecture} in {where}, got it under {start!r} and beside it {listed(others)}; "
            "save the weights of the network alone, its head included"
        )
    return {own: weights[name] for name, own in names.items()}


def _beside_stages(entry: Architecture) -> tuple[str, ...]:
    """Return how the names of weights begin that a network has beside its stages."""
    return *HEADS, *entry.surplus, "mean", "std"


def _is_aside(name: str, value: Tensor) -> bool:
    """Return whether a weight that is in no stage and no head is none of the network's."""
    modules = name.lower().split(".")[:-1]
    return value.ndim == 0 or not value.is_floating_point() or any(map(BESIDE.search, modules))


def _is_linear(weights: Mapping[str, Tensor]) -> bool:
    """Return whether they are weight and bias of one linear layer."""
    ends = {name.rpartition(".")[2]: value.ndim for name, value in weights.items()}
    return len({name.rpartition(".")[0] for name in weights}) == 1 and ends == {"weight": 2, "bias": 1}


def _expected(architecture: str, image_size: int) -> tuple[Architecture, StagesState]:
    """Return the entry of an architecture, and the state of its stages, without values."""
    with torch.device("meta"):
        entry = get_architecture(architecture)
        return entry, entry.build(2, image_size).stages.state_dict()


def _namings(entry: Architecture, expected: Iterable[str]) -> list[dict[str, str]]:
    """Return each naming that a file may have: our name -> its name."""
    names = list(expected)
    renames = [rename for rename in (entry.torchvision_key, entry.published_key) if rename is not None]
    return [
        {name: name for name in names},
        {name: f"stages.{name}" for name in names},
        *({name: rename(name) for name in names} for rename in renames),
    ]
