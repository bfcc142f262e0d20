"""Random views of images, as attacks through augmentations and their GANs take them."""

import math

import torch
from torch import Tensor
from torch.nn import functional

AUGMENTATION_DRAWS = 9  # standard normal numbers that one view of one image takes
MOVE_DRAWS = 3  # the same of `random_move`
AFFINE_DRAWS = 6  # the same of `random_affine`
CHANCE_DRAWS = 8  # the same of `random_chances`


def uniform(normal: Tensor) -> Tensor:
    """Return standard normal numbers as numbers uniform in [0, 1], of the same shape."""
    return 0.5 * (1 + torch.erf(normal / math.sqrt(2)))


def random_augmentation(images: Tensor, draws: Tensor, jitter_share: float = 1.0) -> Tensor:
    """Return one random view (n, 3, S, S) of each image (n, 3, S, S) in [0, 1].

    draws: standard normal (n, `AUGMENTATION_DRAWS`).  jitter_share: probability of a change of colours.
    In this order: a square crop of 0.8 to 1 of the area, enlarged to S; brightness plus up to 0.2 either way,
    then contrast times 0.8 to 1.2, each clipped to [0, 1]; a flip with probability 1/2; a rotation of up to 5
    degrees with probability 1/2, black where the crop has no pixels. Settings of the released code of PLG-MI.
    Departures: crop, flip and rotation are one bilinear sampling, not two, and a crop may lie between pixels;
    the library used there changes contrast first in half of its batches.
    """
    area, across, down, bright, contrast, flip, angle, turn, jitter = uniform(draws).to(images).unbind(1)
    side = (0.8 + 0.2 * area).sqrt()
    radians = (2 * angle - 1) * math.radians(5) * (turn < 0.5)
    cut, seen = _cropped_and_turned(images, side, side, across, down, flip, radians)
    changed = jitter < jitter_share
    added = (0.4 * bright - 0.2) * changed
    times = torch.where(changed, 0.8 + 0.4 * contrast, 1.0)
    cut = (cut + added[:, None, None, None]).clamp(0, 1)
    cut = (cut * times[:, None, None, None]).clamp(0, 1)
    return cut * seen


def random_move(images: Tensor, draws: Tensor, most: int) -> Tensor:
    """Return each image (n, 3, S, S), mirrored with probability 1/2 and shifted by whole pixels.

    What a shift lays open repeats the edge.

    draws: standard normal (n, `MOVE_DRAWS`).  most: pixels, at most, in each direction, all equally likely.
    """
    flip, across, down = uniform(draws).to(images).unbind(1)
    size = images.shape[-1]
    width = 2 * most + 1
    x, y = (((place * width).floor().clamp(max=width - 1) - most) * 2 / size for place in (across, down))
    mirror = torch.where(flip < 0.5, -1.0, 1.0).to(images)
    zero, still = torch.zeros_like(x), torch.ones_like(x)
    turn = torch.stack((torch.stack((mirror, zero, x), 1), torch.stack((zero, still, y), 1)), 1)
    grid = functional.affine_grid(turn, [len(images), 3, size, size], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def random_affine(images: Tensor, draws: Tensor, area: float, degrees: float) -> Tensor:
    """Return each image (n, 3, S, S), cropped, mirrored with probability 1/2 and turned.

    draws: standard normal (n, `AFFINE_DRAWS`).  The crop has `area` to 1 of the picture, 0.9 to 1.1 times as
    wide as high, and is resized to S x S; then it is turned by up to `degrees` either way, about its middle.
    What lies outside the picture repeats the edge.
    """
    share, aspect, across, down, flip, angle = uniform(draws).to(images).unbind(1)
    share, ratio = area + (1 - area) * share, 0.9 + 0.2 * aspect
    wide, high = (share * ratio).sqrt().clamp(max=1), (share / ratio).sqrt().clamp(max=1)
    radians = (2 * angle - 1) * math.radians(degrees)
    mirror = torch.where(flip < 0.5, -1.0, 1.0).to(images)
    cosine, sine = radians.cos(), radians.sin()
    left, top = (2 * across - 1) * (1 - wide), (2 * down - 1) * (1 - high)
    turn = torch.stack(
        (
            torch.stack((mirror * wide * cosine, -mirror * wide * sine, left), 1),
            torch.stack((high * sine, high * cosine, top), 1),
        ),
        1,
    )
    grid = functional.affine_grid(turn, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def random_chances(images: Tensor, draws: Tensor, area: float, degrees: float) -> Tensor:
    """Return each image (n, 3, S, S), cropped, mirrored and turned, each with probability 1/2.

    draws: standard normal (n, `CHANCE_DRAWS`).  The crop has `area` to 1 of the picture, is 3/4 to 4/3 times
    as wide as high and resized to S x S; a turn is by up to `degrees` either way about the middle, black
    where the crop has no pixels. Crop, mirror and turn are one bilinear sampling, and a crop that would be
    wider or higher than the picture is cut to it.
    """
    share, aspect, across, down, crop, flip, angle, turn = uniform(draws).to(images).unbind(1)
    share = torch.where(crop < 0.5, area + (1 - area) * share, torch.ones_like(share))
    ratio = torch.where(crop < 0.5, (math.log(4 / 3) * (2 * aspect - 1)).exp(), torch.ones_like(aspect))
    wide, high = (share * ratio).sqrt().clamp(max=1), (share / ratio).sqrt().clamp(max=1)
    radians = (2 * angle - 1) * math.radians(degrees) * (turn < 0.5)
    cut, seen = _cropped_and_turned(images, wide, high, across, down, flip, radians)
    return cut * seen


def _cropped_and_turned(
    images: Tensor, wide: Tensor, high: Tensor, across: Tensor, down: Tensor, flip: Tensor, radians: Tensor
) -> tuple[Tensor, Tensor]:
    """Return crops (n, 3, S, S), mirrored and then turned, and where they have pixels, bool (n, 1, S, S).

    All (n,): wide, high, the sides as shares of the picture's; across, down, the place of the crop, in
    [0, 1]; flip, below 1/2 to mirror; radians, of the turn. One bilinear sampling.
    """
    cosine, sine = radians.cos(), radians.sin()
    size = images.shape[-1]
    steps = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) * 2 / size - 1
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    rotation = torch.stack((cosine, -sine, sine, cosine), 1).reshape(-1, 2, 2)
    within = torch.stack((x, y), -1).reshape(1, -1, 2) @ rotation.mT  # the crop's own coordinates
    seen = (within.abs() <= 1).all(2)
    mirror = torch.where(flip < 0.5, -1.0, 1.0).to(images)
    scale = torch.stack((wide * mirror, high), 1)[:, None]
    centre = torch.stack(((2 * across - 1) * (1 - wide), (2 * down - 1) * (1 - high)), 1)[:, None]
    grid = (within * scale + centre).reshape(-1, size, size, 2)
    cut = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return cut, seen.reshape(-1, 1, size, size)
