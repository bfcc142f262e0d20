"""Traits show where they should: each change of one trait changes the part of the picture it belongs to."""

import torch

from trainables.datasets.rendering.portraits import portraits
from trainables.datasets.rendering.traits import PERSON, PICTURE, named

SIZE = 64


def draw(**changes: float) -> torch.Tensor:
    """Return the picture (3, S, S) in [0, 1] of the middling person, with some traits moved."""

    def middling(ranges: dict[str, tuple[float, float]]) -> dict[str, torch.Tensor]:
        places = [[changes.get(name, 0.5) for name in ranges]]
        return named(ranges, torch.tensor(places, dtype=torch.float64))

    pixels = portraits(SIZE, middling(PERSON), middling(PICTURE), torch.zeros(1, 3, SIZE, SIZE))
    return pixels[0].float() / 255


def test_every_trait_of_a_person_shows() -> None:
    wearing = {"glasses_size": {"glasses": 0.95}, "glasses_shade": {"glasses": 0.95}}
    for name in PERSON:
        around = wearing.get(name, {})
        low, high = draw(**around, **{name: 0.0}), draw(**around, **{name: 1.0})
        assert (low - high).abs().max() > 0.04, name


def test_every_circumstance_shows() -> None:
    for name in set(PICTURE) - {"grain"}:  # the noise given is zero
        assert (draw(**{name: 0.1}) - draw(**{name: 0.9 if "hue" not in name else 0.6})).abs().max() > 0.04, (
            name
        )


def test_skin_darkens_and_hair_lightens_along_their_palettes() -> None:
    cheek, crown = (slice(None), slice(38, 42), slice(20, 23)), (slice(None), slice(8, 10), slice(30, 34))
    skins = [draw(skin=place)[cheek].mean().item() for place in (0.0, 0.5, 1.0)]
    hairs = [draw(hair=place)[crown].mean().item() for place in (0.0, 0.5, 0.9)]
    assert skins == sorted(skins, reverse=True) and hairs == sorted(hairs)


def test_an_upright_face_is_symmetric() -> None:
    level = draw(parting=0.5, hair_curl=0.0, hair=0.0, hair_shine=0.0)
    face = level[:, 30:55, 12:52]  # strands of hair run aslant, so only the face
    assert (face - face.flip(2)).abs().max() < 0.02


def test_light_colours_the_whole_picture() -> None:
    warm, cool = draw(warmth=1.0).mean((1, 2)), draw(warmth=0.0).mean((1, 2))
    assert warm[0] > cool[0] and warm[2] < cool[2]


def test_glasses_and_beard_are_for_some() -> None:
    assert torch.equal(draw(glasses=0.0), draw(glasses=0.75))
    assert torch.equal(draw(beard=0.0), draw(beard=0.75))
