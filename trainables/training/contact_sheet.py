"""A contact sheet: one picture of what training will see, to be looked at before it starts."""

from collections.abc import Mapping

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from trainables.datasets.base import Images, as_float
from trainables.runtime.seeds import stream
from trainables.training.batches import Augmentation, draw_augmentation, take_batch
from trainables.training.variation import vary

PEOPLE = 8  # rows of private people
EACH = 4  # images of each, once as read and once as training varies them
TILE = 64  # least side of a tile in pixels
GAP = 4
CAPTION = 14


def contact_sheet(
    train: Images, others: Mapping[str, Images], augmentation: Augmentation, seed: int = 0
) -> Image.Image:
    """Return some private training images, a row for each person, and a row of each of the other sets.

    On the left of a person's row are images as they were read: cut or padded, and resized. On the right are
    the same ones as one pass of training with `augmentation` shows them. others: caption -> images.
    """
    size = train.pixels.shape[-1]
    rows: list[tuple[str, Tensor]] = []
    labels = torch.linspace(0, train.classes - 1, min(PEOPLE, train.classes)).long().tolist()
    for label in labels:
        index = (train.labels == label).nonzero().flatten()[:EACH]
        views = draw_augmentation(len(index), size, augmentation, stream(seed, "contact sheet", label))
        padding = train.pixels.new_full((EACH - len(index), *train.pixels.shape[1:]), 255)
        varied = take_batch(train.pixels, index, views)
        if views.variation is not None:
            varied = vary(as_float(varied), views.variation).mul(255).round().to(torch.uint8)
        rows.append((train.names[label], torch.cat((train.pixels[index], padding, varied, padding))))
    for caption, images in others.items():
        index = torch.linspace(0, len(images) - 1, min(2 * EACH, len(images))).long()
        rows.append((f"{caption} ({len(images)} images)", images.pixels[index]))
    return _drawn(rows, f"left: as read; right: as trained on ({augmentation})", size)


def _drawn(rows: list[tuple[str, Tensor]], title: str, size: int) -> Image.Image:
    side = size * max(1, -(-TILE // size))
    width, height = GAP + 2 * EACH * (side + GAP), CAPTION + side + GAP
    sheet = Image.new("RGB", (width, CAPTION + GAP + height * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 1), title, fill="black")
    for row, (caption, pixels) in enumerate(rows):
        top = CAPTION + GAP + height * row
        plain = caption.encode("latin-1", "replace").decode("latin-1")  # what every font has
        draw.text((GAP, top), plain, fill="black")
        for column, picture in enumerate(pixels):
            tile = Image.fromarray(picture.permute(1, 2, 0).numpy())
            tile = tile.resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(tile, (GAP + column * (side + GAP), top + CAPTION))
    return sheet
