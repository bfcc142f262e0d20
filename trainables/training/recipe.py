"""Recipe of a training: the knobs that a target, a backbone and a judge share."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, Self

from trainables.method import later_knob
from trainables.nn.precision import NumberFormat
from trainables.runtime.checks import above, at_least
from trainables.training.batches import Augmentation

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "cosine", "multistep"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimiser, schedule and augmentation; subclasses have defaults of their own.

    epochs, batch_size: passes over the images, images in a step.
    learning_rate, momentum, weight_decay: of the optimizer.
    optimizer: "sgd" (with momentum), "adam" or "adamw" (momentum is not used); weight_decay is an L2 term in
        the first two, and a decay beside the gradients in "adamw".
    schedule: learning rate "constant"; "cosine", falling epoch by epoch towards 0; or "multistep", times
        `gamma` after as many epochs as each of `milestones` says. The other schedules use neither.
    augmentation: "none"; "flip" mirrors half of the images; "crop_flip" also shifts by up to an eighth;
        "flip_cutout" mirrors and greys out a square; "resize_jitter_flip" enlarges a crop, changes
        colours and mirrors; see `trainables.training.variation`.
    nesterov: Nesterov's momentum, of "sgd" alone.
    precision: "float32", or "bfloat16" for forward and backward passes of training under autocast; weights,
        optimiser and everything measured stay float32.
    channels_last: train with weights laid out channel by channel, faster on GPUs; stored ones are as usual.
    compile: train through ``torch.compile``.
    deterministic: refuse operations whose result varies from run to run on a GPU.
    """

    epochs: int = 50
    batch_size: int = 64
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Schedule = "constant"
    augmentation: Augmentation = "flip"
    milestones: tuple[int, ...] = later_knob(())
    gamma: float = later_knob(0.1)
    nesterov: bool = later_knob(False)
    precision: NumberFormat = later_knob("float32")  # noqa: RUF009
    channels_last: bool = later_knob(False)
    compile: bool = later_knob(False)
    deterministic: bool = later_knob(False)

    def __post_init__(self) -> None:
        at_least(self, 1, "epochs")
        at_least(self, 2, "batch_size")  # batch norm needs two
        above(self, 0, "learning_rate", "gamma")
        at_least(self, 0, "momentum", "weight_decay")
        if self.momentum >= 1:  # steps would grow for ever
            raise ValueError(f"momentum must be below 1; got {self.momentum}")
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

    def shortened(self, epochs: int) -> Self:
        """Return the recipe with so many epochs, to time it: without the schedule, which costs nothing."""
        return dataclasses.replace(self, epochs=epochs, schedule="constant", milestones=())

    def shared(self) -> dict[str, Any]:
        """Return the knobs of this class by name, to hand on to another recipe."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(Recipe)}
