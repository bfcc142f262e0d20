"""Pre-trained weights from a file."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from trainables.architectures import get_architecture
from trainables.errors import ConfigError
from trainables.method import file_knob
from trainables.pretraining.base import OutsidePretraining, StagesState
from trainables.pretraining.matching import matched
from trainables.runtime.run import Run
from trainables.storage.weights import read_weights
from trainables.training.classifier import MEAN_AND_STD, Normalization

ROUNDING = 5e-3  # of numbers that were saved in 16 bits


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
        """Return that which the file holds, as those of this program do, or else that of the architecture's
        published weights; None where nobody states it."""
        try:
            status = Path(self.path).stat()
            stated = _stated_normalization(self.path, status.st_size, status.st_mtime_ns)
        except (ConfigError, OSError):  # said when the weights are read
            stated = None
        return stated or get_architecture(architecture).normalization

    def stages_state(
        self, architecture: str, image_size: int, *, run: Run, normalization: Normalization
    ) -> StagesState:
        """Return the file's weights under the names of our stages."""
        return self.read(architecture, image_size)

    def read(self, architecture: str, image_size: int) -> StagesState:
        """Return the file's weights under the names of our stages; raise `ConfigError` if they do not fit."""
        saved = read_weights(Path(self.path), "pretraining.path")
        return matched(architecture, image_size, saved, f"{self.path} (pretraining.path)")


@functools.lru_cache(maxsize=16)  # a study asks for each of its trials
def _stated_normalization(path: str, size: int, modified: int) -> str | None:
    """Return the name of the pixel mean and deviation in a file, however rounded; None if it has none.

    size, modified: of the file, which is read again once they change.
    """
    saved = read_weights(Path(path), "pretraining.path")
    held = [saved[name].float().flatten() for name in ("mean", "std") if name in saved]
    if [len(values) for values in held] != [3, 3]:
        return None
    for name, known in MEAN_AND_STD.items():
        if torch.allclose(torch.stack(held), torch.tensor(known), atol=ROUNDING):
            return name
    return None
