"""TTS: training with all skip connections, then going on without those of the last group."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.defenses.rule import Batch, LossRule, Rule, Training
from trainables.defenses.skip_removal import SkipRemoval, set_factors
from trainables.runtime.checks import at_least


@dataclass(frozen=True, kw_only=True)
class TTS(SkipRemoval):
    """Koh et al., ECCV 2024, section 4: two-stage training, so that less accuracy goes with the skips.

    No code of it is published: that the network with all skips comes first follows the text, and the length
    of the second phase is a choice of ours. Its learning rate is that which the recipe ended with. Only
    epochs of the second phase may be chosen. Stages that are frozen before the first trained one are without
    their skips from the start.

    second_epochs: length of the second phase; unpublished.
    """

    kind: ClassVar[str] = "tts"
    summary: ClassVar[str] = "training with skip connections, then without those of the last group"
    source: ClassVar[str] = "Koh et al., ECCV 2024 (TTS)"
    adaptive: ClassVar[str] = "puts the skip connections back in the backward pass alone"
    adaptive_attack: ClassVar[str | None] = "* adaptive=true"

    second_epochs: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "second_epochs")

    @property
    def extra_epochs(self) -> int:
        """Return the length of the second phase."""
        return self.second_epochs

    def finished(self, epoch: int, epochs: int) -> bool:
        """Return whether the skips are gone."""
        return epoch > epochs

    def begin(self, training: Training) -> Rule:
        """Return the rule of two phases."""
        return _TwoStages(self, training)


class _TwoStages(LossRule):
    """The recipe's steps, of the second phase without the skips."""

    def __init__(self, defense: TTS, training: Training) -> None:
        super().__init__(defense.loss, training, reads_images=defense.reads_images)
        self._defense, self._factors = defense, defense.factors(training.classifier)
        self._set((1.0,) * len(self._factors))
        self._removed = False

    def step(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        if self.may_be_chosen(epoch) and not self._removed:
            self._set(self._factors)
            self._removed = True
        return super().step(batch, epoch)

    def _set(self, factors: tuple[float, ...]) -> None:
        # what frozen stages give was kept before the first step, so that it must not change
        classifier: Classifier = self._training.classifier
        set_factors(classifier, factors, first=self._training.frozen)

    def may_be_chosen(self, epoch: int) -> bool:
        return self._defense.finished(epoch, self._training.epochs)

    def state(self) -> dict[str, Any]:
        return {"removed": self._removed}

    def restore(self, state: dict[str, Any]) -> None:
        self._removed = state["removed"]
        if self._removed:
            self._set(self._factors)
