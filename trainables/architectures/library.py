"""Any classifier of torchvision or timm, cut into stages by the order in which its layers run."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trainables.architectures.base import Architecture, Classifier
from trainables.architectures.timm_import import import_timm
from trainables.errors import ConfigError
from trainables.nn.cutting import CuttingError, cut
from trainables.storage.documents import suggestion

LIBRARIES = ("torchvision", "timm")
# Networks with heads beside the last one, which only training runs: left out.
AUXILIARY = ("inception_v3", "googlenet")
AUXILIARY_HEADS = ("aux1.", "aux2.", "AuxLogits.")  # theirs, in published files
HOOKS = 4  # beside the neck, like BiDO's for VGG16
BATCH = 2


@dataclass(frozen=True)
class LibraryArchitecture(Architecture):
    """An architecture whose sizes its network alone knows: it is run without memory to see."""

    def check_size(self, image_size: int, where: str = "image_size") -> None:
        """Raise `ConfigError` if the network does not take images of `image_size` pixels, named `where`."""
        _plan(self.kind, image_size, where)


@functools.lru_cache
def library_architecture(library: str, network: str) -> Architecture:
    """Return the architecture that ``library:network`` means; raise `ConfigError` if there is none."""
    kind = f"{library}:{network}"
    size, weights = _torchvision_entry(network) if library == "torchvision" else _timm_entry(network)
    plan = _plan(kind, size, "its own image size")
    return LibraryArchitecture(
        kind=kind,
        summary=f"{library}'s {network}, cut by execution order",
        source=library,
        build=functools.partial(_build, kind=kind),
        torchvision_weights=weights,
        torchvision_key=lambda key: key.split(".", 1)[1],
        stages=plan.stages,
        surplus=plan.surplus,
    )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Stages of a network, those that are hooks, and prefixes of its weights that are in no stage."""

    stages: tuple[str, ...]
    hooks: tuple[str, ...]
    surplus: tuple[str, ...]


def _build(classes: int, image_size: int, *, kind: str) -> Classifier:
    """Return the network with random weights; stages are named by torchvision's or timm's layers.

    Hooks: the last stage at each of the last four resolutions before the final one, or four evenly spaced
    stages where the resolution does not change, and the feature.
    """
    return _classifier(kind, classes, image_size, _plan(kind, image_size, "image_size").hooks)


def _classifier(kind: str, classes: int, image_size: int, hooks: tuple[str, ...]) -> Classifier:
    network = _network(kind, image_size)
    chain = cut(network)
    last = network.get_submodule(chain.head)
    assert isinstance(last, nn.Linear)
    head = nn.Linear(last.in_features, classes, bias=last.bias is not None)
    return Classifier(chain.stages, chain.neck, head, hooks).train()


@functools.lru_cache
def _plan(kind: str, image_size: int, where: str) -> Plan:
    """Return what a run on images of `image_size` shows; raise `ConfigError` if there is none."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
        try:
            network = _network(kind, image_size)
            chain = cut(network)
        except CuttingError as error:
            raise _uncut(kind, str(error)) from None
        except (RuntimeError, ValueError, AssertionError) as error:
            raise _no_such_size(kind, image_size, where, error) from None
        x, sides = torch.zeros(BATCH, 3, image_size, image_size), []
        try:
            for name, stage in chain.stages.items():
                x = stage(x)
                if not isinstance(x, torch.Tensor):
                    raise _uncut(kind, f"{name} gives several tensors")
                sides.append(_side(x))
            feature = chain.neck(x)
            features = network.get_submodule(chain.head).in_features
        except ConfigError:
            raise
        except (RuntimeError, ValueError, AssertionError) as error:
            raise _no_such_size(kind, image_size, where, error) from None
    if feature.shape != (BATCH, features):
        raise _uncut(kind, f"its last layer sees {tuple(feature.shape)} of {BATCH} images")
    stages = tuple(chain.stages)
    used = {f"{key.split('.')[1]}." for key in nn.ModuleDict(chain.stages).state_dict()}
    weights = {f"{key.split('.')[0]}." for key in network.state_dict()}
    heads = AUXILIARY_HEADS if kind.partition(":")[2] in AUXILIARY else ()
    surplus = {f"{chain.head}.", *heads, *(weights - used)}
    return Plan(stages=stages, hooks=_hooks(stages, sides), surplus=tuple(sorted(surplus)))


def _hooks(stages: tuple[str, ...], sides: list[int]) -> tuple[str, ...]:
    ends = [name for name, side, after in zip(stages, sides, sides[1:], strict=False) if after < side]
    if len(ends) < 2:
        ends = [stages[len(stages) * quarter // HOOKS] for quarter in range(1, HOOKS)]
    return (*dict.fromkeys(ends[-HOOKS:]), "neck")


def _side(x: torch.Tensor) -> int:
    """Return the side of a map, channels first or last, or the number of tokens; 1 for a plain feature."""
    return x.shape[2] if x.ndim == 4 else x.shape[1] if x.ndim == 3 else 1


def _uncut(kind: str, reason: str) -> ConfigError:
    return ConfigError(
        f"architecture '{kind}' cannot be cut into stages: {reason}; choose another network of its library"
    )


def _no_such_size(kind: str, image_size: int, where: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"architecture '{kind}' does not take images of {image_size} pixels ({where}): "
        f"{' '.join(str(error).split())[:200]}; choose another size, or another architecture"
    )


def _network(kind: str, image_size: int) -> nn.Module:
    """Return the library's network with random weights, made for `image_size` where that is a knob of its."""
    try:
        return _made(kind, image_size)
    except NotImplementedError:  # some compute their widths with tensors, which have no values on "meta"
        with torch.device("cpu"):
            return _made(kind, image_size).to("meta")


def _made(kind: str, image_size: int) -> nn.Module:
    library, _, name = kind.partition(":")
    create, plain, size = _maker(library, name, image_size)
    try:
        return create(name, **plain, **size)
    except TypeError:  # most networks take any size
        return create(name, **plain)


def _maker(
    library: str, name: str, image_size: int
) -> tuple[Callable[..., nn.Module], dict[str, Any], dict[str, Any]]:
    """Return what makes the network, its arguments, and one that only some networks know."""
    if library == "timm":
        return import_timm(f"timm:{name}").create_model, {"pretrained": False}, {"img_size": image_size}
    from torchvision.models import get_model

    plain: dict[str, Any] = {"weights": None}
    if name in AUXILIARY:
        plain |= {"aux_logits": False, "init_weights": True}
    sides = (image_size, image_size)
    return (
        get_model,
        plain,
        {"input_size": sides} if name.startswith("maxvit") else {"image_size": image_size},
    )


def _torchvision_entry(network: str) -> tuple[int, str | None]:
    """Return the size of torchvision's own weights, and the name of their enumeration."""
    from torchvision import models

    known = models.list_models(module=models)
    if network not in known:
        raise _unknown("torchvision", network, known)
    weights = models.get_model_weights(network)
    default = next(iter(weights), None)
    return _crop(default), weights.__name__ if default is not None else None


def _crop(weights: Any) -> int:
    size = getattr(getattr(weights, "transforms", None), "keywords", {}).get("crop_size", 224)
    return int(size)


def _timm_entry(network: str) -> tuple[int, None]:
    timm = import_timm(f"timm:{network}")
    if not timm.is_model(network):
        raise _unknown("timm", network, timm.list_models())
    config = timm.get_pretrained_cfg(network)
    return (config.input_size[-1] if config is not None and config.input_size else 224), None


def _unknown(library: str, network: str, known: list[str]) -> ConfigError:
    return ConfigError(
        f"architecture expects '{library}:' and a classifier that {library} has ({len(known)} of them, "
        f"{library}.{'models.' if library == 'torchvision' else ''}list_models()); got '{network}'"
        f"{suggestion(network, known)}"
    )
