"""No pre-training: random weights."""

from dataclasses import dataclass
from typing import ClassVar

from trainables.pretraining.base import Pretraining
from trainables.runtime.run import Run
from trainables.training.classifier import Normalization


@dataclass(frozen=True, kw_only=True)
class Scratch(Pretraining):
    """No pre-training: what a freeze point freezes is random, as TL-DMI does for VMI's ResNet-34."""

    kind: ClassVar[str] = "none"
    summary: ClassVar[str] = "random weights"
    source: ClassVar[str] = "this project"

    def stages_state(
        self, architecture: str, image_size: int, *, run: Run, normalization: Normalization
    ) -> None:
        """Return None."""
        return
