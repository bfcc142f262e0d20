"""Recipe of a training: the knobs that a target, a backbone and a judge share."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from trainables.method import later_knob
from trainables.runtime.checks import above, at_least
from trainables.training.batches import Augmentation

Schedule = Literal["constant", "cosine", "multistep"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimiser, schedule and augmentation; subclasses have defaults of their own.

    epochs, batch_size: passes over the images, images in a step.
    learning_rate, momentum, weight_decay: of the optimizer.
    optimizer: "sgd" (with momentum) or "adam" (momentum is not used); weight_decay is an L2 term in both.
    schedule: learning rate "constant"; "cosine", falling epoch by epoch towards 0; or "multistep", times
        `gamma` after as many epochs as each of `milestones` says. The other schedules use neither.
    augmentation: "none"; "flip" mirrors half of the images; "crop_flip" also shifts by up to an eighth.
    nesterov: Nesterov's momentum, of "sgd" alone.
    """

    epochs: int = 50
    batch_size: int = 64
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Schedule = "constant"
    augmentation: Augmentation = "flip"
    milestones: tuple[int, ...] = later_knob(())
    gamma: float = later_knob(0.1)
    nesterov: bool = later_knob(False)

    def __post_init__(self) -> None:
        at_least(self, 1, "epochs")
        at_least(self, 2, "batch_size")  # batch norm needs two
        above(self, 0, "learning_rate", "gamma")
        at_least(self, 0, "momentum", "weight_decay")
        rising = list(self.milestones) == sorted(set(self.milestones))
        if not rising or not all(0 < milestone < self.epochs for milestone in self.milestones):
            raise ValueError(
                f"milestones must be rising epochs between 0 and epochs ({self.epochs}), both left out; "
                f"got {list(self.milestones)}"
            )
        if self.schedule == "multistep" and not self.milestones:
            raise ValueError("milestones must name at least one epoch for schedule 'multistep'; got []")
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise ValueError(
                "nesterov must be false without optimizer 'sgd' and a momentum above 0; got true with "
                f"optimizer '{self.optimizer}' and momentum {self.momentum}"
            )

    def shared(self) -> dict[str, Any]:
        """Return the knobs of this class by name, to hand on to another recipe."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(Recipe)}
