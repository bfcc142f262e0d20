"""Each tile of a contact sheet is an image of the data, as it was read or as training varies it."""

import numpy as np
import pytest
import torch

from trainables.datasets.base import Images
from trainables.training.contact_sheet import CAPTION, EACH, GAP, PEOPLE, TILE, contact_sheet

SIZE = 32
SIDE = 64


def images(people: int, each: int, seed: int = 0) -> Images:
    numbers = torch.Generator().manual_seed(seed)
    count = people * each
    return Images(
        pixels=torch.randint(0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8, generator=numbers),
        labels=torch.arange(people).repeat_interleave(each),
        names=tuple(f"person {n} Ł" for n in range(people)),
        files=tuple(map(str, range(count))),
    )


def tile(sheet, row: int, column: int) -> torch.Tensor:
    top = CAPTION + GAP + row * (CAPTION + SIDE + GAP) + CAPTION
    left = GAP + column * (SIDE + GAP)
    pixels = np.asarray(sheet)[top : top + SIDE, left : left + SIDE]
    return torch.from_numpy(pixels[::2, ::2].copy()).permute(2, 0, 1)


def test_what_was_read_and_what_is_trained_on_stand_side_by_side():
    assert TILE == SIDE
    train, public = images(3, 6), images(1, 20, seed=1)
    sheet = contact_sheet(train, {"public": public}, "flip", seed=3)
    mirrored = 0
    for person in range(3):
        for number in range(EACH):
            truth = train.pixels[person * 6 + number]
            assert torch.equal(tile(sheet, person, number), truth)
            seen = tile(sheet, person, EACH + number)
            mirrored += int(torch.equal(seen, truth.flip(2)))
            assert torch.equal(seen, truth) or torch.equal(seen, truth.flip(2))
    assert 0 < mirrored < 3 * EACH
    assert torch.equal(tile(sheet, 3, 0), public.pixels[0])
    assert torch.equal(tile(sheet, 3, 2 * EACH - 1), public.pixels[-1])


@pytest.mark.parametrize(("augmentation", "varied"), [("none", False), ("crop_flip", True)])
def test_the_recipes_augmentation_is_the_one_that_is_shown(augmentation, varied):
    train = images(2, 4)
    sheet = contact_sheet(train, {}, augmentation)
    same = [torch.equal(tile(sheet, p, n), tile(sheet, p, EACH + n)) for p in range(2) for n in range(EACH)]
    assert all(same) is not varied


def test_many_people_are_a_sample_and_few_images_leave_room():
    sheet = contact_sheet(images(40, 2), {}, "none")
    assert sheet.height == CAPTION + GAP + PEOPLE * (CAPTION + SIDE + GAP)
    assert (tile(sheet, 0, 2) == 255).all() and not (tile(sheet, 0, 1) == 255).all()
    assert torch.equal(tile(sheet, PEOPLE - 1, 0), images(40, 2).pixels[78])
