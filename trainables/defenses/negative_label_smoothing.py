"""Negative label smoothing: confidence far beyond what one-hot labels ask for, which misleads gradients."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trainables.architectures.base import Trace
from trainables.defenses.base import Defense
from trainables.defenses.rule import Batch, LossRule, Rule, Training
from trainables.defenses.smoothed_labels import smoothed


@dataclass(frozen=True, kw_only=True)
class NegativeLabelSmoothing(Defense):
    """Struppek et al., ICLR 2024, eq. 3 and their schedule: the smoothing is off, grows, and jumps to alpha.

    alpha: smoothing; published -0.05 and nearer to 0. Above 0 (and below 1) it is ordinary label smoothing,
        which leaks more: the control of the other direction.
    warmup, full: shares of the recipe's epochs, published 50 and 75 of 100. Of E epochs, counted from 0,
        those before w = warmup E have no smoothing; epoch e before full E has alpha (e + 1 - w) / (E - w), as
        if it grew to the end; the others alpha at once. 0 and 0 smooth from the first epoch on, as in
        MIBench. Only epochs at the full alpha may be chosen: those before are undefended.
    """

    kind: ClassVar[str] = "negative_label_smoothing"
    summary: ClassVar[str] = "labels smoothed by a negative amount, on a schedule"
    source: ClassVar[str] = "Struppek et al., ICLR 2024 (negative label smoothing)"
    reads_images: ClassVar[bool] = False
    adaptive: ClassVar[str] = "descends on logits or margins, which the smoothing bends less than confidence"
    adaptive_attack: ClassVar[str | None] = "map, lomma_gmi, lomma_kedmi, plg"

    alpha: float = -0.05
    warmup: float = 0.5
    full: float = 0.75

    def __post_init__(self) -> None:
        if not self.alpha < 1:
            raise ValueError(f"alpha must be below 1; got {self.alpha}")
        if not 0 <= self.warmup <= self.full <= 1:
            raise ValueError(
                f"warmup and full must satisfy 0 <= warmup <= full <= 1; got {self.warmup} and {self.full}"
            )

    def alpha_in(self, epoch: int, epochs: int) -> float:
        """Return the smoothing in `epoch`, from 1, of `epochs`; in the last one it is `alpha`."""
        start, full = (min(round(share * epochs), epochs - 1) for share in (self.warmup, self.full))
        if epoch > full:
            return self.alpha
        return self.alpha * max(0, epoch - start) / (epochs - start)

    def finished(self, epoch: int, epochs: int) -> bool:
        """Return whether the smoothing is that of the schedule's end."""
        return self.alpha_in(epoch, epochs) == self.alpha

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the loss of the schedule's end."""
        return smoothed(logits, labels, self.alpha)

    def begin(self, training: Training) -> Rule:
        """Return the rule that follows the schedule."""
        return _Scheduled(self, training)


class _Scheduled(LossRule):
    """A step on the loss with the smoothing of its epoch."""

    def __init__(self, defense: NegativeLabelSmoothing, training: Training) -> None:
        super().__init__(self._smoothed, training, reads_images=defense.reads_images)
        self._defense, self._alpha = defense, defense.alpha

    def _smoothed(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        return smoothed(logits, labels, self._alpha)

    def step(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        self._alpha = self._defense.alpha_in(epoch, self._training.epochs)
        return super().step(batch, epoch)

    def may_be_chosen(self, epoch: int) -> bool:
        return self._defense.finished(epoch, self._training.epochs)
