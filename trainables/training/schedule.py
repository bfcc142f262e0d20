"""Schedules of the learning rate, epoch by epoch."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, MultiStepLR

from trainables.training.recipe import Recipe


def make_schedule(optimizer: Optimizer, recipe: Recipe) -> LRScheduler:
    """Return the recipe's schedule of the learning rate, to be stepped at the end of each epoch.

    cosine: lr (1 + cos(pi · done / epochs)) / 2; multistep: lr gamma^(number of milestones done).
    """
    if recipe.schedule == "multistep":
        return MultiStepLR(optimizer, list(recipe.milestones), recipe.gamma)
    if recipe.schedule == "cosine":
        # The closed form: torch's CosineAnnealingLR is recursive, with other results in the last bit.
        return LambdaLR(optimizer, lambda done: (1 + math.cos(math.pi * done / recipe.epochs)) / 2)
    return LambdaLR(optimizer, lambda done: 1.0)
