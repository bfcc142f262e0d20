"""Classes of shapes: distinct kinds, and outlines with the areas geometry gives."""

import math

import torch

from trainables.datasets.rendering.canvas import blank
from trainables.datasets.rendering.shapes import (
    CLASS,
    COLOURS,
    KINDS,
    SHAPES,
    TEXTURES,
    VIEW,
    _outline,
    assign_kind,
    shapes,
)
from trainables.datasets.rendering.traits import named, sample
from trainables.runtime.seeds import stream


def kind_of(draws: torch.Tensor) -> tuple[int, ...]:
    traits = named(CLASS, draws)
    return tuple(int(traits[name]) for name in ("shape", "texture", "colour"))


def test_first_classes_are_all_kinds_once() -> None:
    order = torch.randperm(KINDS, generator=stream(3, "order"))
    kinds = [
        kind_of(assign_kind(sample(CLASS, 1, stream(0, number)), number, order)) for number in range(KINDS)
    ]
    assert len(set(kinds)) == KINDS == len(SHAPES) * len(TEXTURES) * COLOURS
    again = kind_of(assign_kind(sample(CLASS, 1, stream(0, KINDS)), KINDS, order))
    assert again == kinds[0]


def test_outlines_enclose_the_known_areas() -> None:
    zero, unit = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    canvas = blank(64, torch.zeros(1, 3, 1, 1), (zero, zero), zero, unit)
    radius = 0.52
    expected = {
        "disk": math.pi * radius**2,
        "oval": math.pi * radius**2 * 0.5,
        "ring": math.pi * radius**2 * (1 - 0.55**2),
        "triangle": 3 * math.sqrt(3) / 4 * radius**2,
        "square": 2 * radius**2,
        "bar": 2 * radius**2 * 0.4,
        "hexagon": 3 * math.sqrt(3) / 2 * radius**2,
    }
    for place, name in enumerate(SHAPES):
        if name not in expected:
            continue
        outline = _outline(canvas, {"shape": torch.full((1, 1, 1, 1), place + 0.5)})
        area = (outline < 0).float().mean().item() * 4
        assert math.isclose(area, expected[name], rel_tol=0.03), name


def test_colour_and_texture_show() -> None:
    view = named(VIEW, torch.full((1, len(VIEW)), 0.5, dtype=torch.float64))

    def draw(shape: int, texture: int, colour: int) -> torch.Tensor:
        places = [(shape + 0.5) / len(SHAPES), (texture + 0.5) / len(TEXTURES), (colour + 0.5) / COLOURS]
        draws = torch.tensor([[*places, 0.5, 0.5, 0.5]], dtype=torch.float64)
        return shapes(32, named(CLASS, draws), view, torch.zeros(1, 3, 32, 32)).float() / 255

    red, cyan = draw(0, 0, 0)[0, :, 15, 15], draw(0, 0, 6)[0, :, 15, 15]
    assert red.argmax() == 0 and cyan.argmin() == 0
    pictures = [draw(4, texture, 3) for texture in range(len(TEXTURES))]
    for i, first in enumerate(pictures):
        assert all((first - other).abs().max() > 0.2 for other in pictures[:i])
