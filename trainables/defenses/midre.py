"""MIDRE: every training image loses a random square, so that no image is ever seen as it is."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Trace
from trainables.defenses.base import Defense
from trainables.defenses.rule import Batch, LossRule, Rule, Training
from trainables.runtime.checks import at_least
from trainables.runtime.seeds import stream
from trainables.runtime.upload import upload

# The published fill is ImageNet's mean, put in after pixels were scaled to [-1, 1]: in [0, 1] it is this.
FILL = (0.7425, 0.728, 0.703)


def draw_squares(count: int, size: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return (top, left, side) of a square in each of `count` images of `size` pixels, int64 (count, 3).

    The area is uniform in `low` to `high` of the image, the side rounded; every place inside is as likely.
    """
    area, down, across = torch.rand(3, count, generator=generator, dtype=torch.float64)
    side = (size * (low + (high - low) * area).sqrt()).round()
    places = size - side + 1
    return torch.stack(((down * places).floor(), (across * places).floor(), side), 1).long()


def erase(images: Tensor, squares: Tensor) -> Tensor:
    """Return images (m, 3, S, S) with their squares (m, 3), on the same device, filled with `FILL`."""
    place = torch.arange(images.shape[-1], device=images.device)
    top, left, side = squares[:, :, None].unbind(1)
    rows = (place >= top) & (place < top + side)
    columns = (place >= left) & (place < left + side)
    fill = upload(torch.tensor(FILL, dtype=images.dtype).view(1, 3, 1, 1), images.device)
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], fill, images)


@dataclass(frozen=True, kw_only=True)
class MIDRE(Defense):
    """Tran et al., TMLR 2025, section 3: cross-entropy on images that a random square is missing from.

    Every image of every step, always a square, at a place of its own (a fixed place does not defend). Frozen
    stages see the erased images too; what they would give for others is not used.

    area: the largest square's share of the image; published 0.4 and 0.8.
    smallest: the smallest square's share; published 0.1.
    """

    kind: ClassVar[str] = "midre"
    summary: ClassVar[str] = "a random square is missing from every training image"
    source: ClassVar[str] = "Tran et al., TMLR 2025 (MIDRE)"
    adaptive: ClassVar[str] = "erases squares of the reconstruction as the training did, and averages"

    area: float = 0.4
    smallest: float = 0.1

    def __post_init__(self) -> None:
        at_least(self, 0, "smallest")
        if not self.smallest <= self.area <= 1 or self.area == 0:
            raise ValueError(
                f"area must lie between smallest ({self.smallest}) and 1, above 0; got {self.area}"
            )

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the mean cross-entropy."""
        return functional.cross_entropy(logits, labels)

    def begin(self, training: Training) -> Rule:
        """Return the rule that erases before each step."""
        return _Erasing(self, training)


class _Erasing(LossRule):
    """A step on what is left of the images."""

    def __init__(self, defense: MIDRE, training: Training) -> None:
        super().__init__(defense.loss, training)
        self._defense = defense
        self._generator = stream(training.seed, "squares")

    def step(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        low, high = self._defense.smallest, self._defense.area
        size = batch.images.shape[-1]
        squares = draw_squares(len(batch.images), size, low, high, self._generator)
        images = erase(batch.images, upload(squares, batch.images.device))
        inputs = images
        if self._training.frozen:
            with torch.no_grad():
                inputs = self._training.classifier.run(images, 0, self._training.frozen)
        return super().step(replace(batch, images=images, inputs=inputs), epoch)

    def state(self) -> dict[str, Any]:
        return {"squares": self._generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        self._generator.set_state(state["squares"])
