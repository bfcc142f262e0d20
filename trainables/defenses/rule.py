"""Rules of training: a rule takes the optimiser steps, with a default that most defenses keep."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.architectures.base import Classifier, Trace
from trainables.datasets.base import Images

Loss = Callable[[Tensor, Tensor, Tensor, Trace], Tensor]


@dataclass(frozen=True, kw_only=True)
class Training:
    """Start of a training; a rule may keep state of its own beside it.

    Attributes:
        classifier: to train, prepared by the defense and frozen, on its device.
        optimizer: the recipe's, over the trained weights; a rule may make others.
        frozen: how many stages are frozen before the first trained one; others after it may be.
        epochs: of the recipe.
        images: the training images, as they are on disk.
        batch_size: images in a batch, as the recipe has it.
        seed: of the training's randomness; name streams of its own for anything drawn in a rule.
    """

    classifier: Classifier
    optimizer: torch.optim.Optimizer
    frozen: int
    epochs: int
    images: Images
    seed: int
    batch_size: int = 64


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch of m training images, on the device of the classifier.

    Attributes:
        index: int64 (m,), on the CPU: which of the training images they are, for a rule that wants them
            without augmentation.
        images: (m, 3, S, S) in [0, 1], augmented; may be none, (0, 3, S, S), for a rule that reads none.
        labels: int64 (m,).
        inputs: what stage number `Training.frozen` receives for `images`, without gradient; `images` for a
            rule that makes its own (`Rule.makes_inputs`).
    """

    index: Tensor
    images: Tensor
    labels: Tensor
    inputs: Tensor


class Rule:
    """The base of all rules: what happens in one step, and which epochs may be chosen at the end.

    makes_inputs: whether its steps put other images than those of the batch through the frozen stages, so
    that these need not see that batch, nor may, where their batch norm follows what they see.
    reads_images: whether its steps look at `Batch.images`; where not, and the frozen stages' outputs are
    stored, nobody makes them.
    """

    makes_inputs: ClassVar[bool] = False
    reads_images: bool = True

    def step(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        """Train on `batch` in `epoch`, from 1; return loss, a scalar, and logits (m, K), both detached."""
        raise NotImplementedError

    def may_be_chosen(self, epoch: int) -> bool:
        """Return whether the weights after `epoch` are a finished target; a first phase says no."""
        return True

    def kept(self) -> dict[str, Tensor]:
        """Return what belongs to the weights of this moment and is stored beside them; {} by default."""
        return {}

    def spent(self) -> dict[str, Tensor]:
        """Return what the whole training leaves, whichever epoch is kept; stored with `kept`."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what changes in this rule from step to step, for a training that goes on after a kill.

        Tensors, numbers, and lists and dicts of them; `restore` reads it back. Nothing by default: a rule
        with tensors, networks, optimisers or random streams of its own returns all of them.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Bring back, in a rule that took no step yet, what `state` returned at the end of an epoch."""


def trained_trace(trace: Trace) -> Trace:
    """Return what of `trace` trained weights lie before: a term of anything else is a constant."""
    return {name: value for name, value in trace.items() if value.requires_grad}


class LossRule(Rule):
    """One step of the recipe's optimiser on a loss of logits, labels, images and trace."""

    def __init__(self, loss: Loss, training: Training, *, reads_images: bool = True) -> None:
        self._loss, self._training, self.reads_images = loss, training, reads_images

    def step(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        """Return loss and logits before the step."""
        trace: Trace = {}
        logits = self._training.classifier(batch.inputs, self._training.frozen, trace)
        loss = self._loss(logits, batch.labels, batch.images, trained_trace(trace))
        self._training.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._training.optimizer.step()
        return loss.detach(), logits.detach()
