"""Base of the defenses that take away skip connections (Koh et al., ECCV 2024)."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Architecture, Classifier, Trace
from trainables.architectures.skips import restore_gradients, scale_skips
from trainables.defenses.base import Defense
from trainables.errors import ConfigError


def set_factors(classifier: Classifier, factors: Sequence[float], first: int = 0) -> None:
    """Scale the skips of each group by its factor, in all stages but the `first` so many."""
    changed = list(classifier.stages)[first:]
    for group, factor in zip(classifier.skips, factors, strict=True):
        for name in group:
            if name in changed:
                scale_skips(classifier.stages[name], factor)


@dataclass(frozen=True, kw_only=True)
class SkipRemoval(Defense):
    """Cross-entropy on a network with scaled skips: relu(F(x) + factor · shortcut(x)) in a residual block.

    Every block of a group is scaled, that with a projection too. The released code also takes away the last
    fifth of the skips of ResNets' third group, in every model; this is not done here.

    skips: factors in [0, 1] of the architecture's groups of skips, in order; () changes the last group alone.
        Published for ResNets (1, 1, 1, 0), for MaxViT (0, 0, 1, 1), for ViT 0 and eleven times 1, for
        DenseNet (1, 0, 1, 1) on faces and (1, 1, 1, 0) on dogs.
    """

    reads_images: ClassVar[bool] = False

    skips: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(0 <= factor <= 1 for factor in self.skips):
            raise ValueError(f"skips must lie between 0 and 1; got {list(self.skips)}")

    @property
    def of_last_group(self) -> float:
        """Return the factor of the last group where `skips` says nothing."""
        return 0.0

    def factors(self, classifier: Classifier) -> tuple[float, ...]:
        """Return the factor of each group of skips; raise `ConfigError` if it has none, or others."""
        groups = len(classifier.skips)
        if not groups:
            raise ConfigError(
                f"defense '{self.kind}' expects an architecture with skip connections; got one that states "
                "none (target.architecture); choose a ResNet, DenseNet, MaxViT, ViT or MobileNet"
            )
        if self.skips and len(self.skips) != groups:
            starts = ", ".join(group[0] for group in classifier.skips)
            raise ConfigError(
                f"defense '{self.kind}' expects {groups} factors, one a group of skips (from {starts}); "
                f"got {len(self.skips)} (defense.skips); give as many, or none to change the last group"
            )
        return tuple(self.skips) or (1.0,) * (groups - 1) + (self.of_last_group,)

    def check(self, architecture: Architecture, image_size: int) -> None:
        """Raise `ConfigError` if the network has no skips, or other groups."""
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            self.factors(architecture.build(2, image_size))

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier with its skips scaled."""
        set_factors(classifier, self.factors(classifier))
        return classifier

    def adapted(self, classifier: Classifier, stored: Mapping[str, Tensor]) -> Classifier:
        """Return a copy with the gradients of all skips as they were before scaling; its logits stay."""
        copied = copy.deepcopy(classifier)
        restore_gradients(copied.stages)
        return copied

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the mean cross-entropy."""
        return functional.cross_entropy(logits, labels)
