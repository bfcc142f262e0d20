"""Draws, ranges and colours."""

import colorsys

import torch

from trainables.datasets.rendering.traits import PERSON, PICTURE, WAVER, hue, named, palette, sample, waver
from trainables.runtime.seeds import stream


def test_first_rows_do_not_depend_on_the_count() -> None:
    few, many = sample(PERSON, 2, stream(0, "a")), sample(PERSON, 50, stream(0, "a"))
    assert torch.equal(few, many[:2])


def test_named_traits_fill_their_ranges() -> None:
    for ranges in (PERSON, PICTURE):
        draws = torch.tensor([[0.0], [1.0]], dtype=torch.float64).expand(2, len(ranges))
        for name, value in named(ranges, draws).items():
            torch.testing.assert_close(value.flatten(), torch.tensor(ranges[name]))


def test_a_person_wavers_within_bounds() -> None:
    person = sample(PERSON, 1, stream(0, "person"))
    drawn = waver(person, sample(PERSON, 500, stream(0, "pictures")))
    assert drawn.min() >= 0 and drawn.max() <= 1
    distance = (drawn - person).abs()
    assert distance.max() <= WAVER / 2
    assert distance.max() > 0.95 * WAVER / 2


def test_palette_mixes_neighbours() -> None:
    place = torch.tensor([0.0, 0.25, 1.0]).view(-1, 1, 1, 1)
    found = palette(("#000000", "#ff8000", "#ffffff"), place).view(3, 3)
    expected = torch.tensor([[0, 0, 0], [0.5, 128 / 255 / 2, 0], [1, 1, 1]])
    torch.testing.assert_close(found, expected)


def test_hue_is_the_hsv_circle() -> None:
    for place, saturation, value in ((0.0, 1.0, 1.0), (0.13, 0.4, 0.8), (0.5, 0.2, 0.3), (0.92, 0.9, 0.6)):
        at = torch.tensor(place).view(1, 1, 1, 1)
        found = hue(at, saturation, torch.tensor(value).view(1, 1, 1, 1)).flatten().tolist()
        expected = colorsys.hsv_to_rgb(place, saturation, value)
        torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), atol=1e-5, rtol=0)
