"""How any classifier here is trained: the knobs that a target, a backbone and a judge share."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from trainables.runtime.checks import above, at_least
from trainables.training.batches import Augmentation


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimiser, schedule and augmentation; subclasses have defaults of their own.

    optimizer: "sgd" (with momentum) or "adam" (momentum is not used); weight_decay is an L2 term in both.
    schedule: learning rate "constant", or "cosine", falling epoch by epoch towards 0.
    augmentation: "none"; "flip" mirrors half of the images; "crop_flip" also shifts by up to an eighth.
    """

    epochs: int = 50
    batch_size: int = 64
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"
    augmentation: Augmentation = "flip"

    def __post_init__(self) -> None:
        at_least(self, 1, "epochs")
        at_least(self, 2, "batch_size")  # batch norm needs two
        above(self, 0, "learning_rate")
        at_least(self, 0, "momentum", "weight_decay")

    def shared(self) -> dict[str, Any]:
        """Return the knobs of this class by name, to hand on to another recipe."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(Recipe)}
