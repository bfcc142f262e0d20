"""Variations of training images beyond mirroring and shifting: enlarged crops, colours, a square left out."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainables.runtime.upload import upload

LEAST_AREA = 0.85  # of a crop
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
COLOURS = (0.2, 0.2, 0.1, 0.1)  # most change of each
GREY = (0.2989, 0.587, 0.114)  # weights of red, green and blue
HOLE = 0.25  # side of the square left out, as a share of the image's


@dataclass(frozen=True)
class Variation:
    """Variation of the B images of a batch; each part may be missing. Drawn on the CPU.

    windows: float32 (B, 3), top, left and side of the square that is enlarged to the whole image, in pixels.
    colours: float32 (B, 4), factors of brightness, contrast and saturation, and the turn of the hue.
    order: in which the four are changed, the same for all images of the batch.
    holes: int64 (B, 2), row and column of the middle of a grey square.  hole: its side in pixels.
    """

    windows: Tensor | None = None
    colours: Tensor | None = None
    order: tuple[int, ...] = ()
    holes: Tensor | None = None
    hole: int = 0


def draw_resize_jitter(count: int, size: int, generator: torch.Generator) -> Variation:
    """Draw crops of 0.85 to 1 of the area, and colour changes: the training of PPA's targets.

    Struppek et al., ICML 2022, with torchvision's meaning of each number: a square crop enlarged to `size`;
    brightness and contrast times 0.8 to 1.2, saturation times 0.9 to 1.1, hue turned by up to a tenth. The
    order of the colour changes is drawn once for a batch, there for each image.
    """
    draws = torch.rand(count, 3, generator=generator)
    side = (size * (LEAST_AREA + (1 - LEAST_AREA) * draws[:, 0]).sqrt()).round()
    places = (draws[:, 1:] * (size - side + 1)[:, None]).floor()
    most = torch.tensor(COLOURS)
    colours = (2 * torch.rand(count, len(COLOURS), generator=generator) - 1) * most
    colours[:, :HUE] += 1
    order = tuple(torch.randperm(len(COLOURS), generator=generator).tolist())
    return Variation(windows=torch.cat((places, side[:, None]), 1), colours=colours, order=order)


def draw_cutout(count: int, size: int, generator: torch.Generator) -> Variation:
    """Draw the middle of a square of a quarter of the side, anywhere; it may reach over the edge.

    DeVries & Taylor 2017. The published training of VMI's targets names cutout and no side.
    """
    return Variation(
        holes=torch.randint(0, size, (count, 2), generator=generator), hole=max(1, round(HOLE * size))
    )


def vary(images: Tensor, variation: Variation | None) -> Tensor:
    """Return images (B, 3, S, S) in [0, 1] as `variation` has them: crop, then colours, then the hole."""
    if variation is None:
        return images
    if variation.windows is not None:
        images = enlarge(images, upload(variation.windows, images.device))
    if variation.colours is not None:
        colours = upload(variation.colours, images.device).to(images.dtype)
        for change in variation.order:
            images = recolour(images, change, colours[:, change].view(-1, 1, 1, 1))
    if variation.holes is not None:
        images = _cut_out(images, upload(variation.holes, images.device), variation.hole)
    return images


def enlarge(images: Tensor, windows: Tensor) -> Tensor:
    """Return what each image's square window (top, left, side) shows, bilinear, at the size of the image."""
    size = images.shape[-1]
    top, left, side = windows.to(images.dtype).unbind(1)
    steps = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) / size
    places = []
    for first in (left, top):
        inside = first[:, None] + (steps * side[:, None] - 0.5).clamp(min=0)
        inside = torch.minimum(inside, (first + side - 1)[:, None])
        places.append((2 * inside + 1) / size - 1)
    across, down = places
    grid = torch.stack(
        (across[:, None, :].expand(-1, size, -1), down[:, :, None].expand(-1, -1, size)), dim=-1
    )
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def recolour(images: Tensor, change: int, amount: Tensor) -> Tensor:
    """Return images (B, 3, S, S) in [0, 1] with one of the four changes, `amount` (B, 1, 1, 1); clipped."""
    if change == BRIGHTNESS:
        return (images * amount).clamp(0, 1)
    if change == HUE:
        return turn_hue(images, amount)
    weights = images.new_tensor(GREY).view(1, 3, 1, 1)
    grey = (images * weights).sum(1, keepdim=True)
    anchor = grey.mean((2, 3), keepdim=True) if change == CONTRAST else grey
    return (amount * images + (1 - amount) * anchor).clamp(0, 1)


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Return images with the hue of each turned by `turns` (B, 1, 1, 1), in turns of the colour circle."""
    most, chroma = images.amax(1, keepdim=True), images.amax(1, keepdim=True) - images.amin(1, keepdim=True)
    red, green, blue = images[:, :1], images[:, 1:2], images[:, 2:]
    safe = chroma.clamp(min=torch.finfo(images.dtype).tiny)
    sixth = torch.where(
        red == most,
        (green - blue) / safe,
        torch.where(green == most, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    offsets = images.new_tensor((5.0, 3.0, 1.0)).view(1, 3, 1, 1)
    place = (offsets + sixth + 6 * turns) % 6
    return most - chroma * torch.minimum(place, 4 - place).clamp(0, 1)


def _cut_out(images: Tensor, middles: Tensor, side: int) -> Tensor:
    """Return images with a grey square of `side` pixels about each of `middles` (B, 2)."""
    place = torch.arange(images.shape[-1], device=images.device)
    first = middles - side // 2
    rows, columns = (
        (place >= first[:, axis, None]) & (place < first[:, axis, None] + side) for axis in (0, 1)
    )
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.5)
