"""A batch of pictures to paint on: signed distances go in, antialiased colour comes out."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SUPERSAMPLE = 2  # painted at twice the size, then averaged: lines thinner than a pixel keep their weight


@dataclass(frozen=True)
class Canvas:
    """N pictures, painted in place, each with its own coordinates.

    pixels: float32 (N, 3, H, W) in [0, 1].  x, y: (N, 1, H, W); the picture spans -1 .. 1, x right, y down,
    before the pose that `blank` applies.  edge: width of one painted pixel in these units.
    """

    pixels: Tensor
    x: Tensor
    y: Tensor
    edge: float

    def window(self, left: float, top: float, right: float, bottom: float) -> "Canvas":
        """Return a view of one rectangle (in picture coordinates), so that small things cost little."""
        size = self.pixels.shape[-1]
        across = slice(max(0, int((left + 1) / 2 * size)), min(size, int((right + 1) / 2 * size) + 1))
        down = slice(max(0, int((top + 1) / 2 * size)), min(size, int((bottom + 1) / 2 * size) + 1))
        return Canvas(
            self.pixels[:, :, down, across], self.x[:, :, down, across], self.y[:, :, down, across], self.edge
        )

    def cover(self, distance: Tensor) -> Tensor:
        """Return which share of each pixel lies inside, for signed distances (negative is inside)."""
        return (distance * (-1 / self.edge)).add_(0.5).clamp_(0, 1)

    def paint(self, share: Tensor, colour: Tensor) -> None:
        """Mix `colour` (N, 3, 1, 1) or (N, 3, H, W) into the picture, by `share` (N, 1, H, W) in [0, 1]."""
        self.pixels.lerp_(colour, share)


def blank(size: int, colour: Tensor, shift: tuple[Tensor, Tensor], turn: Tensor, scale: Tensor) -> Canvas:
    """Return pictures for `size` pixels in `colour` (N, 3, 1, 1), scaled, turned (radians) and shifted."""
    side = size * SUPERSAMPLE
    line = (torch.arange(side, dtype=torch.float32) + 0.5) * (2 / side) - 1
    across = line.view(1, 1, 1, -1) - shift[0]
    down = line.view(1, 1, -1, 1) - shift[1]
    cosine, sine = torch.cos(turn) / scale, torch.sin(turn) / scale
    x = across * cosine + down * sine
    y = down * cosine - across * sine
    return Canvas(colour.repeat(1, 1, side, side), x, y, edge=2 / side)


def ellipse(x: Tensor, y: Tensor, width: Tensor | float, height: Tensor | float) -> Tensor:
    """Return the relative radius: 0 in the centre, 1 on the ellipse with these half axes."""
    return ((x / width).square_() + (y / height).square_()).sqrt_()


def develop(canvas: Canvas, gain: Tensor, slope: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    """Return uint8 pixels (N, 3, S, S): averaged to size, lit, with `noise` (N, 3, S, S) added.

    gain: brightness, (N, 1 or 3, 1, 1).  slope: how it grows to the right and downwards.
    """
    pixels = functional.avg_pool2d(canvas.pixels, SUPERSAMPLE)
    size = pixels.shape[-1]
    line = (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1
    light = gain * (1 + slope[0] * line.view(1, 1, 1, -1) + slope[1] * line.view(1, 1, -1, 1))
    return pixels.mul_(light).add_(noise).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
