"""AlignMI: the image-space gradient as a mean over noisy or moved copies, pulled back once. No attack."""

import math
from typing import Literal

import torch
from torch import Tensor

from trainables.attacks.optim.descent import Guide
from trainables.nn.augmentation import AFFINE_DRAWS, random_affine

Alignment = Literal["none", "paa", "taa"]


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
