"""Canaries: rendered people beside real ones, whose leak is measured at no one's cost."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trainables.datasets.base import Images
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.storage.pixel_cache import joined

NAME = "canary"
LEAST, MOST = 4, 32  # images of one canary: what a split needs, and what is worth rendering


def add_canaries(images: Images, count: int, *, grey: bool = False) -> Images:
    """Return `images` with those of `count` rendered people after them, as the last labels.

    grey: without their colours, as people who have none: colours would tell them apart from everybody else.
    A canary has as many images as the median person, from 4 to 32. Who they are follows from the images, so
    that two data sets have different canaries. Where the data set gives its parts, canaries have the same
    shares of them, at least one image each.
    """
    own = hashlib.sha256(images.pixels.contiguous().numpy().data).digest()
    each = min(MOST, max(LEAST, int(images.labels.bincount(minlength=images.classes).median())))
    rendered = SyntheticFaces(
        population="private",
        identities=count,
        images_per_identity=each,
        seed=int.from_bytes(own[:6], "big"),
    ).load(images.pixels.shape[-1])
    if grey:
        rendered = replace(rendered, pixels=_without_colours(rendered.pixels))
    tag = own[:3].hex()
    parts = _given_parts(images, count, each)
    return replace(
        images,
        pixels=joined(images.pixels, rendered.pixels),
        labels=torch.cat((images.labels, rendered.labels + images.classes)),
        names=(*images.names, *(f"{NAME}-{tag}-{number:03d}" for number in range(count))),
        files=(*images.files, *(f"{NAME}:{file}" for file in rendered.files)),
        reserved=parts[0],
        checked=parts[1],
        digests=None
        if images.digests is None
        else (*images.digests, *(hashlib.sha256(p.numpy().tobytes()).digest() for p in rendered.pixels)),
    )


def canary_labels(names: Sequence[str]) -> list[int]:
    """Return the labels of the canaries among people with these names, in label order."""
    return [label for label, name in enumerate(names) if name.startswith(f"{NAME}-")]


def _without_colours(pixels: Tensor) -> Tensor:
    """Return uint8 pixels (N, 3, S, S) of three equal channels, as Pillow's "L" has them (ITU-R BT.601)."""
    red, green, blue = pixels.int().unbind(1)
    grey = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    return grey.to(torch.uint8).unsqueeze(1).repeat(1, 3, 1, 1)


def _given_parts(images: Images, count: int, each: int) -> tuple[Tensor | None, Tensor | None]:
    """Return `reserved` and `checked` with those of the canaries, None where the data set gives none."""
    tested = checked = 0
    if images.reserved is not None:
        tested = min(each - 3, max(1, round(images.reserved.double().mean().item() * each)))
    if images.checked is not None:
        checked = min(each - 2 - tested, max(1, round(images.checked.double().mean().item() * each)))
    position = torch.arange(each).repeat(count)
    reserved = None if images.reserved is None else torch.cat((images.reserved, position < tested))
    chosen = (position >= tested) & (position < tested + checked)
    return reserved, None if images.checked is None else torch.cat((images.checked, chosen))
