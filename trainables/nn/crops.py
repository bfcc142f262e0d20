"""Random resized crops that a whole batch shares: drawn ahead, one for each step."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Crop:
    """A window in pixels, and whether what it shows is mirrored."""

    top: int
    left: int
    height: int
    width: int
    flip: bool = False


def draw_crops(
    count: int,
    size: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
    *,
    flips: bool = False,
) -> list[Crop]:
    """Return `count` crops of images of `size` pixels, as torchvision's ``RandomResizedCrop`` draws them.

    The window's share of the image is uniform in `scale`, the logarithm of its width over its height uniform
    in that of `ratio`, its place uniform. Where ten tries do not fit into the image, it is the largest window
    in the middle. flips: mirror half of them.
    """
    return [_draw(size, scale, ratio, generator, flips) for _ in range(count)]


def _draw(
    size: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
    flips: bool,
) -> Crop:
    draws = torch.rand(10, 4, generator=generator, dtype=torch.float64).tolist()
    flip = flips and torch.rand((), generator=generator).item() < 0.5
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for share, shape, down, right in draws:
        area = size * size * (scale[0] + share * (scale[1] - scale[0]))
        aspect = math.exp(low + shape * (high - low))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= size and 0 < height <= size:
            top, left = int(down * (size - height + 1)), int(right * (size - width + 1))
            return Crop(top, left, height, width, flip)
    width, height = round(size * min(1, ratio[1])), round(size / max(1, ratio[0]))
    return Crop((size - height) // 2, (size - width) // 2, height, width, flip)


def apply_crop(images: Tensor, crop: Crop, size: int) -> Tensor:
    """Return what `crop` shows of images (n, C, H, W), resized to (n, C, size, size)."""
    rows = slice(crop.top, crop.top + crop.height)
    columns = slice(crop.left, crop.left + crop.width)
    seen = resize(images[..., rows, columns], size)
    return seen.flip(3) if crop.flip else seen


def centre(images: Tensor, size: int) -> Tensor:
    """Return the `size` x `size` pixels in the middle of images (n, C, H, W)."""
    top, left = (round((side - size) / 2) for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def resize(images: Tensor, size: int) -> Tensor:
    """Return images (n, C, H, W) as (n, C, size, size): bilinear, smoothed where they shrink."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
