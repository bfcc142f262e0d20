"""Painted shares and lit pixels against areas and colours computed by hand."""

import math

import torch

from trainables.datasets.rendering.canvas import Canvas, blank, develop, ellipse


def one(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1, 1), value)


def black(size: int, turn: float = 0.0, scale: float = 1.0, shift: float = 0.0) -> Canvas:
    return blank(size, torch.zeros(1, 3, 1, 1), (one(shift), one(0.0)), one(turn), one(scale))


def test_painted_disk_has_the_area_of_a_disk() -> None:
    canvas = black(64)
    share = canvas.cover(ellipse(canvas.x, canvas.y, 0.5, 0.5).sub(1).mul(0.5))
    area = share.mean().item() * 4  # the picture spans 2 by 2
    assert math.isclose(area, math.pi * 0.25, rel_tol=2e-3)


def test_paint_mixes_by_share() -> None:
    canvas = black(32)
    canvas.paint(torch.full_like(canvas.x, 0.25), torch.ones(1, 3, 1, 1))
    torch.testing.assert_close(canvas.pixels, torch.full_like(canvas.pixels, 0.25))


def test_window_is_a_view_of_the_picture() -> None:
    canvas = black(32)
    part = canvas.window(-0.5, -0.5, 0.5, 0.5)
    part.paint(torch.ones_like(part.x), torch.ones(1, 3, 1, 1))
    assert part.x.min() < -0.45 and part.x.max() > 0.45
    lit = canvas.pixels.mean().item()
    assert 0.2 < lit < 0.3


def test_pose_moves_turns_and_scales() -> None:
    def centre(canvas: Canvas) -> tuple[float, float]:
        """Return where in the picture a dot at (0.4, 0) of the posed coordinates lands."""
        share = canvas.cover(torch.hypot(canvas.x - 0.4, canvas.y) - 0.1)
        rest = black(64)
        return (share * rest.x).sum().item() / share.sum().item(), (
            share * rest.y
        ).sum().item() / share.sum().item()

    for (x, y), canvas in (
        ((0.4, 0.0), black(64)),
        ((0.6, 0.0), black(64, shift=0.2)),
        ((0.8, 0.0), black(64, scale=2.0)),
        ((0.4 * math.cos(0.5), 0.4 * math.sin(0.5)), black(64, turn=0.5)),
    ):
        found = centre(canvas)
        assert math.isclose(found[0], x, abs_tol=5e-3) and math.isclose(found[1], y, abs_tol=5e-3)


def test_develop_lights_and_rounds() -> None:
    canvas = blank(32, torch.full((1, 3, 1, 1), 0.5), (one(0.0), one(0.0)), one(0.0), one(1.0))
    pixels = develop(canvas, one(1.2), (one(0.5), one(0.0)), torch.zeros(1, 3, 32, 32))
    assert pixels.shape == (1, 3, 32, 32) and pixels.dtype == torch.uint8
    x = -1 + 1 / 32  # centre of the first column
    assert pixels[0, 0, 7, 0].item() == round(0.5 * 1.2 * (1 + 0.5 * x) * 255)
    assert pixels[0, 1, 0, 31].item() == round(0.5 * 1.2 * (1 - 0.5 * x) * 255)
