"""Base of all classifiers: ordered named stages, a neck, a linear head."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from trainables.errors import ConfigError

Trace = dict[str, Tensor]

# probabilities (n, K) and the images (n, 3, S, S) in [0, 1] that they answer -> the answers that are given
Shield = Callable[[Tensor, Tensor], Tensor]


class Head(nn.Module):
    """The base of heads that do more than a linear layer; any module from features to logits will do as well.

    Attributes:
        noise_size: standard normal numbers that it takes per row, 0 for a deterministic head.
        reports_trace: whether it takes a trace beside the feature, and writes into it.
    """

    noise_size: int = 0
    reports_trace: ClassVar[bool] = False


class Classifier(nn.Module):
    """A chain of named stages, a neck that ends in the penultimate feature, and a head that gives logits.

    Attributes:
        stages: ordered name -> module; a freeze point is the name of the last frozen stage.
        neck: last stage's output -> penultimate feature (N, F).
        head: feature -> logits (N, K); one that draws noise, or reports more than logits, is a `Head`.
        hooks: names (of stages, or ``"neck"``) whose outputs BiDO regularises, in order.
        skips: groups of stages that have skip connections, in order, such as those at each resolution; ()
            for a network without. `trainables.architectures.skips` knows their blocks.
        mean, std: pixel normalisation applied first; (0, 0, 0) and (1, 1, 1) leave [0, 1] pixels as they are.
        forward_methods: what others call, see `trainables.nn.precision`.
    """

    forward_methods: ClassVar[tuple[str, ...]] = ("forward", "features")
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        neck: nn.Module,
        head: nn.Module,
        hooks: tuple[str, ...] = (),
        skips: Sequence[tuple[str, ...]] = (),
        mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        std: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        unknown = [hook for hook in hooks if hook != "neck" and hook not in stages]
        if unknown:
            raise ValueError(f"hooks must name stages or 'neck', got {unknown}; stages are {list(stages)}")
        self.stages = nn.ModuleDict(dict(stages))
        self.neck = neck
        self.head = head
        unknown = [name for group in skips for name in group if name not in stages]
        if unknown:
            raise ValueError(f"skips must name stages, got {unknown}; stages are {list(stages)}")
        self.hooks = hooks
        self.skips = tuple(skips)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    @property
    def freeze_points(self) -> tuple[str, ...]:
        """Return every freeze point in order, ``"none"`` first."""
        return ("none", *self.stages)

    @property
    def noise_size(self) -> int:
        """Return how many standard normal numbers it takes per image; 0 if it is deterministic."""
        return self.head.noise_size if isinstance(self.head, Head) else 0

    def run(self, x: Tensor, start: int = 0, stop: int | None = None, trace: Trace | None = None) -> Tensor:
        """Return the output of stages `start` to `stop`; `x` is images (N, 3, S, S) if `start` is 0."""
        if start == 0:
            x = (x - self.mean) / self.std
        for name, stage in list(self.stages.items())[start:stop]:
            x = stage(x)
            if trace is not None and name in self.hooks:
                trace[name] = x
        return x

    def features(self, x: Tensor) -> Tensor:
        """Return penultimate features (N, F) of images (N, 3, S, S) in [0, 1]."""
        feature: Tensor = self.neck(self.run(x))
        return feature

    def forward(self, x: Tensor, start: int = 0, trace: Trace | None = None) -> Tensor:
        """Return logits (N, K). `x` is images, or the output of the first `start` stages.

        `trace`, if given, is filled with the outputs of the hooks that ran, and with what the head reports.
        """
        feature = self.neck(self.run(x, start, None, trace))
        if trace is not None and "neck" in self.hooks:
            trace["neck"] = feature
        reports = isinstance(self.head, Head) and self.head.reports_trace
        logits: Tensor = self.head(feature, trace) if reports else self.head(feature)
        return logits


def stage_groups(stages: Iterable[str], names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return for each of `names` the stages of that name, or of that name and a number: ``layer1_0`` …"""
    known = list(stages)
    return tuple(
        tuple(stage for stage in known if stage.rpartition("_")[0] == name or stage == name) for name in names
    )


@dataclass(frozen=True)
class Architecture:
    """A network of the registry. It has no knobs, so it is an instance where other methods are classes.

    Attributes:
        kind: its name in study files, and in ``architectures.ARCHITECTURES``.
        summary: one line for ``sweeper list``.
        source: the paper, or "this project".
        build: makes it, with random weights.
        torchvision_weights: torchvision's name of the ImageNet weights, as ``VGG16_BN_Weights``, or None.
        torchvision_key: name of a weight in ``stages.state_dict()`` -> its name in the state dict of the
            network's library; None where there is no other name.
        published_key: the same for files that others than that library share.
        stages: names of the stages, in order, where they can be told without building the network.
        smallest, multiple, largest: the sides of images that it takes, in pixels: from `smallest` to
            `largest`, and divisible by `multiple`.
        normalization: with which its published weights were trained ("imagenet", "half"), where all of them
            were; None where nobody can say.
        body: height and width to which the network itself scales and cuts all images; None for most.
        surplus: prefixes of weights in its library's files, beside its head's, that the network leaves out.
        version: raise it when a change of the code changes the network that `build` returns.
    """

    kind: str
    summary: str
    source: str
    build: "Build"
    torchvision_weights: str | None = None
    torchvision_key: Callable[[str], str] | None = None
    published_key: Callable[[str], str] | None = None
    stages: tuple[str, ...] = ()
    smallest: int = 32
    multiple: int = 1
    largest: int | None = None
    normalization: str | None = None
    body: tuple[int, int] | None = None
    surplus: tuple[str, ...] = ()
    version: int = 1

    @property
    def freeze_points(self) -> tuple[str, ...]:
        """Return the freeze points, ``"none"`` first."""
        if self.stages:
            return ("none", *self.stages)
        with torch.device("meta"):  # names only: no weights are made
            return self.build(2, 64).freeze_points

    def check_size(self, image_size: int, where: str = "image_size") -> None:
        """Raise `ConfigError` if the network does not take images of `image_size` pixels, named `where`."""
        largest = self.largest or image_size
        if self.smallest <= image_size <= largest and image_size % self.multiple == 0:
            return
        if self.smallest == self.largest:
            sides = f"images of {self.smallest} pixels"
        else:
            sides = f"images of at least {self.smallest} pixels" + (
                f", a multiple of {self.multiple}" if self.multiple > 1 else ""
            )
        raise ConfigError(
            f"{self.kind} expects {sides}; got {image_size} ({where}); choose such a size, or another "
            "architecture"
        )


class Build(Protocol):
    """``build(classes, image_size) -> Classifier`` with random weights."""

    def __call__(self, classes: int, image_size: int) -> Classifier: ...
