"""Layout of a panel: one reconstruction, a gap, four private references; the evaluation critique's own.

Sizes and question are those of MI-Eval-MLLM (CVPR 2026 Findings): 224 pixels an image, a gap of 100, the
labels "Image A" and "Set of Images B" below, and the question.
"""

import functools
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

SIDE, GAP, LINE = 224, 100, 50  # pixels: of an image, between the two sides, of a line of text
REFERENCES = 4
QUESTION = "Does Image A depict the same individual as the images in Set B?"
QUESTION_OF_TWO = "Which is closer to the individual in Set B: Image 1 or Image 2?"
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (255, 0, 0)


def panel(shown: Sequence[Tensor], references: Sequence[Tensor]) -> Image.Image:
    """Return a panel with its labels and its question.

    shown: what is asked about, one image or two, uint8 (3, S, S). references: images of the person, alike.
    """
    row = strip(shown, references, SIDE)
    image = Image.new("RGB", (row.width, row.height + 2 * LINE), WHITE)
    image.paste(row, (0, 0))
    draw = ImageDraw.Draw(image)
    names = ["Image A"] if len(shown) == 1 else [f"Image {place + 1}" for place in range(len(shown))]
    for place, name in enumerate(names):
        _write(draw, name, SIDE * place + SIDE / 2, SIDE + LINE / 2, 30, BLACK)
    middle = SIDE * len(shown) + GAP + SIDE * len(references) / 2
    _write(draw, "Set of Images B", middle, SIDE + LINE / 2, 30, BLACK)
    question = QUESTION if len(shown) == 1 else QUESTION_OF_TWO
    _write(draw, question, image.width / 2, SIDE + LINE * 1.5, 35, RED)
    return image


def strip(shown: Sequence[Tensor], references: Sequence[Tensor], side: int) -> Image.Image:
    """Return the images of a panel in one row, `side` pixels each, the gap in proportion."""
    gap = round(GAP * side / SIDE)
    row = Image.new("RGB", (side * (len(shown) + len(references)) + gap, side), WHITE)
    for place, pixels in enumerate((*shown, *references)):
        row.paste(_scaled(pixels, side), (side * place + (gap if place >= len(shown) else 0), 0))
    return row


def png(image: Image.Image) -> bytes:
    """Return the file of an image, without any note of how or when it was made."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _scaled(pixels: Tensor, side: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    return image if image.size == (side, side) else image.resize((side, side), Image.Resampling.BICUBIC)


def _write(
    draw: ImageDraw.ImageDraw, text: str, x: float, y: float, size: int, colour: tuple[int, int, int]
) -> None:
    draw.text((x, y), text, fill=colour, font=_font(size), anchor="mm")


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
