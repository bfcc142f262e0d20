"""Freeze points and what each freezes. Nothing else here decides what is frozen.

TL-DMI (Ho et al., CVPR 2024) trains only the layers after a cut on private data. Here the cut is the name of
the last frozen stage; ``"none"`` freezes nothing, and neck and head are always trained.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from trainables.architectures.base import Classifier
from trainables.errors import ConfigError

FrozenBatchnorm = Literal["eval", "train"]


@dataclass(frozen=True)
class Counts:
    """Numbers of weights. A weight that no freeze point ever trains (a bias held at 0) is not counted."""

    trained: int
    total: int
    trained_without_head: int
    total_without_head: int


def frozen_stages(classifier: Classifier, freeze_point: str) -> int:
    """Return how many stages `freeze_point` freezes, 0 for ``"none"``; raise `ConfigError` if unknown."""
    points = classifier.freeze_points
    if freeze_point not in points:
        raise ConfigError(
            f"freeze_point must be one of {', '.join(points)}; got '{freeze_point}' (target.freeze_point); "
            "name the last stage to freeze, or none"
        )
    return points.index(freeze_point)


def freeze(classifier: Classifier, freeze_point: str, batchnorm: FrozenBatchnorm = "eval") -> int:
    """Freeze the stages up to `freeze_point`, train the others; return how many are frozen."""
    frozen = frozen_stages(classifier, freeze_point)
    for number, stage in enumerate(classifier.stages.values()):
        stage.requires_grad_(number >= frozen)
    training_mode(classifier, frozen, batchnorm)
    return frozen


def training_mode(classifier: Classifier, frozen: int, batchnorm: FrozenBatchnorm) -> None:
    """Put what is trained in training mode, and the first `frozen` stages in the mode `batchnorm` asks for.

    "eval": frozen batch norm uses and keeps the statistics of pre-training; nothing in the prefix sees
    private data. "train": it normalises by the batch, and its running statistics follow private data, as in
    TL-DMI's code. Dropout and stochastic depth of a frozen stage are off under "eval" and on under "train".
    """
    classifier.train()
    if batchnorm == "eval":
        for stage in list(classifier.stages.values())[:frozen]:
            stage.eval()


def count_parameters(classifier: Classifier) -> Counts:
    """Count trained and all weights, with and without the head; shared ones once."""
    stages = list(classifier.stages.parameters())
    neck = [p for p in classifier.neck.parameters() if p.requires_grad]
    head = [p for p in classifier.head.parameters() if p.requires_grad]
    trained = [p for p in stages if p.requires_grad]
    return Counts(
        trained=_weights([*trained, *neck, *head]),
        total=_weights([*stages, *neck, *head]),
        trained_without_head=_weights([*trained, *neck]),
        total_without_head=_weights([*stages, *neck]),
    )


def _weights(parameters: list[nn.Parameter]) -> int:
    return sum({id(p): p.numel() for p in parameters}.values())
