import io

import numpy as np
import pytest
import torch
from PIL import Image

from sweeper.results.panels.layout import GAP, LINE, SIDE, panel, png, strip


def flat(*colours, size=8):
    return [
        torch.tensor(colour, dtype=torch.uint8)[:, None, None].expand(3, size, size) for colour in colours
    ]


REFERENCES = flat((0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255))


def test_one_image_then_a_gap_then_four_references_as_the_critique_lays_them_out():
    image = panel(flat((255, 0, 0)), REFERENCES)
    assert image.size == (5 * 224 + 100, 224 + 2 * 50)
    middles = [112, 224 + 50, *(224 + 100 + 224 * place + 112 for place in range(4))]
    colours = [image.getpixel((x, 112)) for x in middles]
    assert colours == [(255, 0, 0), (255, 255, 255), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]
    words = np.asarray(image)[SIDE:]
    for line in range(2):  # the labels, and the question in red
        assert (words[line * LINE : (line + 1) * LINE] < 128).any()
    red = np.asarray(image)[SIDE + LINE :]
    assert ((red[..., 0] > 200) & (red[..., 1] < 80)).any() and not (red[..., 0] < 80).any()


@pytest.mark.parametrize("side", [8, 32, 224])
def test_a_row_keeps_its_proportions_and_its_pixels(side):
    noise = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    row = strip([noise], REFERENCES, side)
    gap = round(GAP * side / SIDE)
    assert row.size == (5 * side + gap, side)
    if side == 8:  # as stored
        shown = torch.tensor(np.asarray(row)[:, :8]).permute(2, 0, 1)
        assert torch.equal(shown, noise)


def test_two_images_stand_side_by_side():
    image = panel(flat((255, 0, 0), (0, 0, 0)), REFERENCES)
    assert image.size == (6 * 224 + 100, 324)
    assert image.getpixel((112, 112)) == (255, 0, 0) and image.getpixel((336, 112)) == (0, 0, 0)
    assert image.getpixel((2 * 224 + 50, 112)) == (255, 255, 255)


def test_a_file_says_nothing_but_its_pixels():
    image = panel(flat((255, 0, 0)), REFERENCES)
    read = Image.open(io.BytesIO(png(image)))
    assert read.info == {} and read.size == image.size and png(image) == png(image)
