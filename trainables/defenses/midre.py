"""MIDRE: every training image loses a random square, so that no image is ever seen as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Classifier, Trace
from trainables.architectures.head_noise import draw_noise
from trainables.defenses.base import Defense
from trainables.defenses.rule import Batch, LossRule, Rule, Training
from trainables.defenses.seen_through import SeenThrough
from trainables.nn.augmentation import uniform
from trainables.runtime.checks import at_least
from trainables.runtime.seeds import stream
from trainables.runtime.upload import upload

# The published fill is ImageNet's mean, put in after pixels were scaled to [-1, 1]: in [0, 1] it is this.
FILL = (0.7425, 0.728, 0.703)
COPIES = 8  # of an image, that one who knows of the defense averages over


def draw_squares(count: int, size: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return (top, left, side) of a square in each of `count` images of `size` pixels, int64 (count, 3).

    The area is uniform in `low` to `high` of the image, the side rounded; every place inside is as likely.
    """
    return squares(torch.rand(3, count, generator=generator, dtype=torch.float64), size, low, high)


def squares(shares: Tensor, size: int, low: float, high: float) -> Tensor:
    """Return the squares of `draw_squares` for uniform numbers (3, count): of the area, down and across."""
    area, down, across = shares
    side = (size * (low + (high - low) * area).sqrt()).round()
    places = size - side + 1
    top, left = ((share * places).floor().minimum(places - 1) for share in (down, across))
    return torch.stack((top, left, side), 1).long()


def erase(images: Tensor, squares: Tensor) -> Tensor:
    """Return images (m, 3, S, S) with their squares (m, 3), on the same device, filled with `FILL`."""
    place = torch.arange(images.shape[-1], device=images.device)
    top, left, side = squares[:, :, None].unbind(1)
    rows = (place >= top) & (place < top + side)
    columns = (place >= left) & (place < left + side)
    fill = upload(torch.tensor(FILL, dtype=images.dtype).view(1, 3, 1, 1), images.device)
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], fill, images)


class ErasedCopies(SeenThrough):
    """A classifier that gives the mean feature of `COPIES` of an image, each without a square of its own.

    low, high: of the squares' areas, see `draw_squares`. They are drawn anew for every image that it is
    asked about, of standard normal numbers that `head_noise` lends.
    """

    def __init__(self, classifier: Classifier, low: float, high: float) -> None:
        super().__init__(classifier)
        self._area = low, high

    @property
    def noise_size(self) -> int:
        """Return the numbers of all squares."""
        return 3 * COPIES

    def seen(self, x: Tensor) -> Tensor:
        """Return the mean features (N, F)."""
        drawn = draw_noise(self.head, x.new_empty(len(x), self.noise_size))
        shares = uniform(drawn.double()).reshape(-1, 3).T
        erased = erase(x.repeat_interleave(COPIES, 0), squares(shares, x.shape[-1], *self._area))
        return self.plain(erased).reshape(len(x), COPIES, -1).mean(1)


@dataclass(frozen=True, kw_only=True)
class MIDRE(Defense):
    """Tran et al., TMLR 2025, section 3: cross-entropy on images that a random square is missing from.

    Every image of every step, always a square, at a place of its own (a fixed place does not defend). Frozen
    stages see the erased images too; what they would give for others is not used.

    area: the largest square's share of the image; published 0.4 and 0.8.
    smallest: the smallest square's share; published 0.1.
    """

    kind: ClassVar[str] = "midre"
    version: ClassVar[int] = 2  # frozen statistics see erased images alone
    summary: ClassVar[str] = "a random square is missing from every training image"
    source: ClassVar[str] = "Tran et al., TMLR 2025 (MIDRE)"
    adaptive: ClassVar[str] = "erases squares of the reconstruction as the training did, and averages"
    adaptive_attack: ClassVar[str | None] = "* adaptive=true"
    adapted_cost: ClassVar[float] = COPIES

    area: float = 0.4
    smallest: float = 0.1

    def __post_init__(self) -> None:
        at_least(self, 0, "smallest")
        if not self.smallest <= self.area <= 1 or self.area == 0:
            raise ValueError(
                f"area must lie between smallest ({self.smallest}) and 1, above 0; got {self.area}"
            )

    def adapted(self, classifier: Classifier, stored: Mapping[str, Tensor]) -> Classifier:
        """Return a copy that shows itself each image several times, erased as in training."""
        return ErasedCopies(classifier, self.smallest, self.area)

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the mean cross-entropy."""
        return functional.cross_entropy(logits, labels)

    def begin(self, training: Training) -> Rule:
        """Return the rule that erases before each step."""
        return _Erasing(self, training)


class _Erasing(LossRule):
    """A step on what is left of the images."""

    makes_inputs: ClassVar[bool] = True

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
