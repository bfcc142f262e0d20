"""Checkpoint of a training at the end of an epoch: one that was killed goes on there, to the same bits."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from trainables.defenses.rule import Rule
from trainables.storage.resume import Resume


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """State of a training between two epochs, beside the figures of the loop itself.

    name: under which it is saved.  rule: of the defense, with whatever changes in it.
    generators: of everything random in the loop.
    """

    resume: Resume
    name: str
    classifier: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    rule: Rule
    generators: tuple[torch.Generator, ...]

    def save(self, loop: dict[str, Any]) -> None:
        """Save the state with `loop`, the loop's own variables: tensors, numbers, lists and dicts of them."""
        # torch's state of a schedule has the milestones as a type that is not read back weights-only
        schedule = {name: value for name, value in self.schedule.state_dict().items() if name != "milestones"}
        self.resume.write(
            self.name,
            {
                "classifier": self.classifier.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": schedule,
                "rule": self.rule.state(),
                "generators": [generator.get_state() for generator in self.generators],
                "loop": loop,
            },
        )

    def restore(self) -> dict[str, Any] | None:
        """Bring back what was saved last and return its `loop`; None where nothing was."""
        saved = self.resume.read(self.name)
        if saved is None:
            return None
        self.classifier.load_state_dict(saved["classifier"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict({**self.schedule.state_dict(), **saved["schedule"]})
        self.rule.restore(saved["rule"])
        for generator, state in zip(self.generators, saved["generators"], strict=True):
            generator.set_state(state)
        loop: dict[str, Any] = saved["loop"]
        return loop
