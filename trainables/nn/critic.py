"""Answers of a prior's discriminator beside its scores, as attacks ask for them."""

from typing import ClassVar

from torch import Tensor, nn


class Critic(nn.Module):
    """The base of discriminators that are more than a score of each image; any other module will do as well.

    compares_images: whether it compares the images of a batch with each other; it is then called with the
    size of a group of neighbouring images, too.
    """

    compares_images: ClassVar[bool] = False

    def stand_ins(self) -> list[nn.Module]:
        """Return the classifiers of images that stand in for the target; none in most."""
        return []


class NoDiscriminator(nn.Identity):
    """The discriminator of a prior that has none: it scores nothing, and attacks that ask it refuse it."""


def realism(discriminator: nn.Module, images: Tensor, group: int = 1) -> Tensor:
    """Return the discriminator's scores (n,) of images (n, 3, S, S).

    One that compares the images of a batch with each other says so in ``compares_images``; it gets `group`
    neighbouring images at a time, so that scores do not depend on how many groups are worked on at once.
    """
    if isinstance(discriminator, Critic) and discriminator.compares_images:
        scores: Tensor = discriminator(images, group)
    else:
        scores = discriminator(images)
    return scores
