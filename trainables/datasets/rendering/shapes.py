"""Drawn shapes, a pre-training domain far from portraits: a class is a shape, a texture and a colour."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from trainables.datasets.rendering.canvas import Canvas, blank, develop
from trainables.datasets.rendering.traits import Ranges, Traits, hue

# corners or petals, depth of the petals (0 for a polygon with flat sides), hole, height over width
SHAPES = {
    "disk": (1, 0.0001, 0.0, 1.0),
    "ring": (1, 0.0001, 0.55, 1.0),
    "oval": (1, 0.0001, 0.0, 0.5),
    "triangle": (3, 0.0, 0.0, 1.0),
    "square": (4, 0.0, 0.0, 1.0),
    "frame": (4, 0.0, 0.5, 1.0),
    "bar": (4, 0.0, 0.0, 0.4),
    "hexagon": (6, 0.0, 0.0, 1.0),
    "trefoil": (3, 0.36, 0.0, 1.0),
    "cross": (4, 0.4, 0.0, 1.0),
    "star": (5, 0.38, 0.0, 1.0),
    "flower": (9, 0.2, 0.25, 1.0),
}
# weights of stripes, checks, rings and rays in the pattern
TEXTURES = {
    "plain": (0.0, 0.0, 0.0, 0.0),
    "striped": (1.0, 0.0, 0.0, 0.0),
    "checked": (0.0, 1.6, 0.0, 0.0),
    "ringed": (0.0, 0.0, 1.0, 0.0),
    "rayed": (0.0, 0.0, 0.0, 1.0),
    "woven": (0.6, 0.0, 0.6, 0.0),
}
COLOURS = 12
KINDS = len(SHAPES) * len(TEXTURES) * COLOURS  # later classes share a kind, and differ in pitch and tint only

CLASS: Ranges = {
    "shape": (0.0, len(SHAPES)),
    "texture": (0.0, len(TEXTURES)),
    "colour": (0.0, COLOURS),
    "tint": (-0.02, 0.02),
    "second": (0.3, 0.7),
    "pitch": (10.0, 16.0),
}
VIEW: Ranges = {
    "shift_x": (-0.35, 0.35),
    "shift_y": (-0.35, 0.35),
    "turn": (-math.pi, math.pi),
    "scale": (0.7, 1.3),
    "gain": (0.7, 1.15),
    "light_x": (-0.3, 0.3),
    "light_y": (-0.3, 0.3),
    "value": (0.75, 1.0),
    "phase": (0.0, 2 * math.pi),
    "backdrop_hue": (0.0, 1.0),
    "backdrop_value": (0.15, 0.95),
    "backdrop_wave": (-0.2, 0.2),
    "backdrop_pitch": (1.0, 5.0),
    "grain": (0.0, 0.06),
}


def assign_kind(draws: Tensor, number: int, order: Tensor) -> Tensor:
    """Return the draws (1, traits) of class `number` with its shape, texture and colour set by `order`.

    order: a permutation of all `KINDS`, so that the first `KINDS` classes differ in one of the three.
    """
    kind = int(order[number % KINDS])
    places = []
    for total in (len(SHAPES), len(TEXTURES), COLOURS):
        places.append((kind % total + 0.5) / total)
        kind //= total
    return torch.cat([draws.new_tensor([places]), draws[:, len(places) :]], dim=1)


def shapes(size: int, kind: Traits, view: Traits, noise: Tensor) -> Tensor:
    """Return uint8 pixels (N, 3, size, size), one per row of traits; noise: the same shape, -1 to 1."""
    p = kind | view
    backdrop = hue(p["backdrop_hue"], 0.4, p["backdrop_value"])
    canvas = blank(size, backdrop, (p["shift_x"], p["shift_y"]), p["turn"], p["scale"])
    canvas.pixels.mul_(1 + p["backdrop_wave"] * torch.sin(p["backdrop_pitch"] * canvas.x + p["phase"]))
    radius = torch.hypot(canvas.x, canvas.y)
    place = p["colour"].floor() / COLOURS + p["tint"]
    first = hue(place, 0.8, p["value"])
    second = hue((place + p["second"]) % 1, 0.45, p["value"] * 0.5)
    pattern = _pattern(canvas, radius, p)
    colour = torch.lerp(first, second, pattern)
    canvas.paint(canvas.cover(_outline(canvas, p)), colour)
    return develop(canvas, p["gain"], (p["light_x"], p["light_y"]), noise * p["grain"])


def _rows(table: Mapping[str, tuple[float, ...]], place: Tensor) -> list[Tensor]:
    """Return the table's columns, (N, 1, 1, 1) each, at the rows that `place` (N, 1, 1, 1) points to."""
    rows = torch.tensor(list(table.values()))[place.flatten().long()]
    return [column.view(-1, 1, 1, 1) for column in rows.unbind(1)]


def _outline(canvas: Canvas, p: Traits) -> Tensor:
    """Return the signed distance to the shape, of half width 0.52."""
    corners, depth, hole, stretch = _rows(SHAPES, p["shape"])
    x, y = canvas.x, canvas.y / stretch
    radius, angle = torch.hypot(x, y), torch.atan2(y, x)
    sector = 2 * math.pi / corners
    flat = radius * torch.cos(angle % sector - sector / 2) - 0.52 * torch.cos(sector / 2)
    round_ = radius - 0.52 / (1 + depth) * (1 + depth * torch.cos(corners * angle))
    outline = torch.where(depth > 0, round_, flat) * stretch
    return torch.maximum(outline, hole * 0.52 - radius)


def _pattern(canvas: Canvas, radius: Tensor, p: Traits) -> Tensor:
    """Return the share (N, 1, H, W) of the second colour."""
    stripes, checks, rings, rays = _rows(TEXTURES, p["texture"])
    across, down = torch.sin(p["pitch"] * canvas.x), torch.sin(p["pitch"] * canvas.y)
    wave = stripes * across + checks * across * down + rings * torch.sin(p["pitch"] * 1.4 * radius)
    wave += rays * torch.sin(8 * torch.atan2(canvas.y, canvas.x))
    return (wave * 3).clamp_(0, 1)
