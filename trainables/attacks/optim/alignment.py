"""AlignMI: the image-space gradient as a mean over noisy or moved copies, pulled back once. No attack."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trainables.attacks.base import Attack
from trainables.attacks.optim.descent import Guide
from trainables.method import later_knob
from trainables.nn.augmentation import AFFINE_DRAWS, random_affine
from trainables.runtime.checks import above, at_least

Alignment = Literal["none", "paa", "taa"]


@dataclass(frozen=True, kw_only=True)
class AlignedAttack(Attack):
    """Knobs of AlignMI, of every attack that takes gradients of images.

    The copies are made of what the target would see before any views of the attack's own, and each has those
    views. Passes without gradients, as those that select, see no copies.

    align: AlignMI's averaged gradient, "paa" over noisy copies of each image or "taa" over moved ones, see
        `alignment.aligned`.  align_copies: published 50 (paa) and 30 (taa).  align_noise: of paa; published
        0.003 at 64 pixels, 0.06 at 224.  align_area, align_degrees: of taa, the least crop and the greatest
        turn; published 0.9 and 3 with GMI, 0.8 and 5 with KEDMI and PPA.
    """

    align: Literal["none", "paa", "taa"] = later_knob("none")
    align_copies: int = later_knob(30)
    align_noise: float = later_knob(0.003)
    align_area: float = later_knob(0.9)
    align_degrees: float = later_knob(3.0)

    def check_alignment(self) -> None:
        """Raise ValueError for a knob out of range."""
        at_least(self, 0, "align_degrees")
        at_least(self, 1, "align_copies")
        above(self, 0, "align_noise", "align_area")
        if self.align_area > 1:
            raise ValueError(f"align_area must be at most 1, the whole picture; got {self.align_area}")

    @property
    def copies_seen(self) -> int:
        """Return how many copies of an image the target sees in a step."""
        return 1 if self.align == "none" else self.align_copies

    @property
    def align_draws(self) -> int:
        """Return how many standard normal numbers the copies of an image take in a step."""
        return {"none": 0, "paa": 1, "taa": self.align_copies * AFFINE_DRAWS}[self.align]

    def aligned(self, guide: Guide) -> Guide:
        """Return `guide` as the knobs say; its noise then begins with `align_draws` numbers."""
        return aligned(
            guide,
            self.align,
            copies=self.align_copies,
            noise=self.align_noise,
            area=self.align_area,
            degrees=self.align_degrees,
        )[0]


def aligned(
    guide: Guide,
    alignment: Alignment,
    *,
    copies: int,
    noise: float,
    area: float,
    degrees: float,
) -> tuple[Guide, int]:
    """Return `guide` with its gradient averaged over copies of each image, and how much more noise it takes.

    "paa": copies with Gaussian noise of `noise` times the image's own range; "taa": mirrored copies, cropped
    to at least `area` of the picture and turned by up to `degrees` (Peng et al., NeurIPS 2025, "AlignMI").
    The loss is the mean of the copies'. Only the gradient of the identity loss is averaged. "none" leaves
    `guide` as it is. The guide's noise begins with the numbers that the copies take.

    A departure: the released code rescales every batch of copies to its own least and greatest pixel; here an
    image's gradient does not depend on the images beside it.
    """
    if alignment == "none":
        return guide, 0
    size = 1 if alignment == "paa" else copies * AFFINE_DRAWS

    def mean_guide(images: Tensor, labels: Tensor, drawn: Tensor) -> Tensor:
        draws, head = drawn[:, :size], drawn[:, size:]
        seeds = numbers(draws[:, 0]) if alignment == "paa" else []
        plain = images.detach()
        loss, slope = plain.new_zeros(len(images)), torch.zeros_like(plain)
        for number in range(copies):
            with torch.enable_grad():
                leaf = plain.clone().requires_grad_(True)
                if alignment == "paa":
                    copy = leaf + noise * reach(plain) * pixel_noise(plain, seeds, number)
                else:
                    own = draws[:, number * AFFINE_DRAWS : (number + 1) * AFFINE_DRAWS]
                    copy = random_affine(leaf, own, area, degrees)
                each = guide(copy, labels, head)
                (gradient,) = torch.autograd.grad(each.sum(), leaf)
            loss = loss + each.detach() / copies
            slope = slope + gradient / copies
        return loss + ((images - plain) * slope).flatten(1).sum(1)  # the last is 0, and its gradient `slope`

    return mean_guide, size


def reach(images: Tensor) -> Tensor:
    """Return the greatest less the least number of each image (n, 3, S, S), (n, 1, 1, 1)."""
    flat = images.flatten(1)
    return (flat.amax(1) - flat.amin(1))[:, None, None, None]


def numbers(normal: Tensor) -> list[int]:
    """Return a seed for each of the standard normal numbers (n,)."""
    uniform = 0.5 * (1 + torch.erf(normal.double() / math.sqrt(2)))
    return [int(value * 2**52) for value in uniform.tolist()]


def pixel_noise(images: Tensor, seeds: list[int], number: int) -> Tensor:
    """Return standard normal noise of copy `number` of images (n, 3, S, S), a stream for each image."""
    made = []
    for seed in seeds:
        generator = torch.Generator(images.device).manual_seed(seed + number)
        made.append(torch.randn(images.shape[1:], generator=generator, device=images.device))
    return torch.stack(made).to(images.dtype)
