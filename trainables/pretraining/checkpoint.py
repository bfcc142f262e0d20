"""Pre-trained weights from a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from trainables.architectures import get_architecture
from trainables.method import file_knob
from trainables.pretraining.base import OutsidePretraining, StagesState
from trainables.pretraining.matching import matched
from trainables.runtime.run import Run
from trainables.storage.weights import read_weights
from trainables.training.classifier import Normalization


@dataclass(frozen=True, kw_only=True)
class FromCheckpoint(OutsidePretraining):
    """Weights from a file: a plain state dict, named as here or as in torchvision, with or without a head.

    path: the file; loaded weights-only, so it can run no code. Neck and head in it are ignored.
    """

    kind: ClassVar[str] = "checkpoint"
    summary: ClassVar[str] = "weights from a local file"
    source: ClassVar[str] = "this project"

    path: str = file_knob()

    def usual_normalization(self, architecture: str) -> str | None:
        """Return that of the architecture's published weights; None where nobody states it."""
        return get_architecture(architecture).normalization

    def stages_state(
        self, architecture: str, image_size: int, *, run: Run, normalization: Normalization
    ) -> StagesState:
        """Return the file's weights under the names of our stages."""
        return self.read(architecture, image_size)

    def read(self, architecture: str, image_size: int) -> StagesState:
        """Return the file's weights under the names of our stages; raise `ConfigError` if they do not fit."""
        saved = read_weights(Path(self.path), "pretraining.path")
        return matched(architecture, image_size, saved, f"{self.path} (pretraining.path)")
