"""Freeze points and what each freezes. Nothing else here decides what is frozen.

TL-DMI (Ho et al., CVPR 2024) trains only the layers after a cut on private data. Here the cut is the name of
the last frozen stage; ``"none"`` freezes nothing, and neck and head are always trained. To ask what each
layer's training leaks, the same paper trains the first, the middle or the last layers alone: the trained
stages are then named instead.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from trainables.architectures.base import Classifier
from trainables.errors import ConfigError
from trainables.storage.documents import suggestion

FrozenBatchnorm = Literal["eval", "train"]


@dataclass(frozen=True)
class Counts:
    """Numbers of weights. A weight that no freeze point ever trains (a bias held at 0) is not counted."""

    trained: int
    total: int
    trained_without_head: int
    total_without_head: int


def check_trained(trained: Sequence[str], stages: Sequence[str]) -> None:
    """Raise `ConfigError` unless `trained` names some of `stages`, each once and not all of them."""
    for name in trained:
        if name not in stages:
            raise ConfigError(
                f"trained must name stages of the architecture, of {', '.join(stages)}; got '{name}'"
                f"{suggestion(name, stages)} (target.trained); neck and head are always trained"
            )
    if len(set(trained)) < len(trained):
        raise ConfigError(f"trained must name each stage once; got {', '.join(trained)} (target.trained)")
    if len(trained) == len(stages):
        raise ConfigError(
            f"trained must leave a stage frozen; got all {len(stages)} (target.trained); leave it out, or "
            "null, to train every stage"
        )


def frozen_stages(
    classifier: Classifier, freeze_point: str, trained: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the names of the stages that are frozen, in order.

    Those up to `freeze_point`; or, where `trained` is not None, all that it does not name. Raises
    `ConfigError` for a name that is no stage.
    """
    points = classifier.freeze_points
    if freeze_point not in points:
        raise ConfigError(
            f"freeze_point must be one of {', '.join(points)}; got '{freeze_point}' (target.freeze_point); "
            "name the last stage to freeze, or none"
        )
    stages = points[1:]
    if trained is None:
        return stages[: points.index(freeze_point)]
    check_trained(trained, stages)
    return tuple(name for name in stages if name not in trained)


def freeze(
    classifier: Classifier,
    freeze_point: str,
    batchnorm: FrozenBatchnorm = "eval",
    trained: Sequence[str] | None = None,
) -> int:
    """Freeze the stages that `frozen_stages` names, train the others.

    Returns how many are frozen before the first that is trained: no gradient has to pass through those.
    """
    frozen = frozen_stages(classifier, freeze_point, trained)
    for name, stage in classifier.stages.items():
        stage.requires_grad_(name not in frozen)
    training_mode(classifier, frozen, batchnorm)
    return next((number for number, name in enumerate(classifier.stages) if name not in frozen), len(frozen))


def training_mode(classifier: Classifier, frozen: Collection[str], batchnorm: FrozenBatchnorm) -> None:
    """Put what is trained in training mode, and the stages `frozen` in the mode `batchnorm` asks for.

    "eval": frozen batch norm uses and keeps the statistics of pre-training; nothing in a frozen stage keeps
    anything of private data. "train": it normalises by the batch, and its running statistics follow private
    data, as in TL-DMI's code. Dropout and stochastic depth of a frozen stage are off under "eval" and on
    under "train".
    """
    classifier.train()
    if batchnorm == "eval":
        for name in frozen:
            classifier.stages[name].eval()


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
