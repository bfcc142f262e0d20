"""The embedded data: drawn people, and drawn shapes as the far pre-training domain."""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from trainables.datasets.base import Dataset, Images
from trainables.datasets.rendering.portraits import portraits
from trainables.datasets.rendering.shapes import CLASS, KINDS, VIEW, assign_kind, shapes
from trainables.datasets.rendering.traits import PERSON, PICTURE, named, sample, waver
from trainables.errors import ConfigError
from trainables.runtime.seeds import stream
from trainables.storage.content import with_content
from trainables.storage.pixel_cache import stored
from trainables.storage.store import content_key

Population = Literal["private", "public", "near", "far"]
SMALLEST = 32
KEPT = 2**20  # bytes of pixels that take longer to draw than to read
BATCH = 16  # pictures painted at once; small enough for the planes of one batch to stay in a core's cache


@dataclass(frozen=True, kw_only=True)
class SyntheticFaces(Dataset):
    """Rendered portraits: no download, no privacy cost, as many people as wanted.

    population: ``private``, ``public`` and ``near`` are different people of one distribution; ``far`` holds
        rendered shapes instead (an identity is one shape, texture and colour), as far from portraits as
        ImageNet's objects are from photographed faces.
    identities, images_per_identity: how many, each at least 1. The picture of one identity does not change
        with either number.
    seed: draws other people.
    """

    kind: ClassVar[str] = "synthetic_faces"
    summary: ClassVar[str] = "drawn portraits (private, public, near) and drawn shapes (far), of any size"
    source: ClassVar[str] = "this project"

    population: Population
    identities: int
    images_per_identity: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.population not in get_args(Population):
            raise ConfigError(
                f"population of synthetic_faces must be one of {', '.join(get_args(Population))}; "
                f"got {self.population!r}"
            )
        for knob in ("identities", "images_per_identity"):
            if getattr(self, knob) < 1:
                raise ConfigError(f"{knob} of synthetic_faces must be at least 1; got {getattr(self, knob)}")

    def load(self, image_size: int) -> Images:
        """Return all images, one identity after another, shared among callers: do not write to them."""
        if image_size < SMALLEST:
            raise ConfigError(
                f"synthetic_faces expects an image_size of at least {SMALLEST}; got {image_size} (image_size)"
            )
        needed, held = self._bytes(image_size), _memory()
        if held is not None and needed > held:
            raise ConfigError(
                f"synthetic_faces expects pictures that fit into memory; {self.identities} x "
                f"{self.images_per_identity} of {image_size} pixels take {needed:,} bytes, and this machine "
                f"has {held:,} (identities, images_per_identity, image_size); ask for fewer"
            )
        return _render(self, image_size)

    def _bytes(self, image_size: int) -> int:
        """Return how many bytes all pictures take, and the noise of one identity in floats."""
        return (self.identities + 4) * self.images_per_identity * 3 * image_size**2


def _memory() -> int | None:
    """Return the bytes of memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


@lru_cache(maxsize=6)
def _render(data: SyntheticFaces, image_size: int) -> Images:
    """Return the rendered data; the last few are kept, so that later trials in one process need not wait.

    Where there is a store, the pictures are drawn by one of its processes and read by the others.
    """
    each = data.images_per_identity
    shape = (data.identities * each, 3, image_size, image_size)
    key = content_key(drawn=with_content(data), size=image_size)
    pixels, _ = stored(key, shape, lambda made: _draw(data, image_size, made), smallest=KEPT)
    names = tuple(f"{data.population}-{number:04d}" for number in range(data.identities))
    origin = f"synthetic_faces:{data.seed}"
    return Images(
        pixels=pixels,
        labels=torch.arange(data.identities).repeat_interleave(each),
        names=names,
        files=tuple(f"{origin}/{name}/{number:04d}" for name in names for number in range(each)),
    )


def _draw(data: SyntheticFaces, image_size: int, pixels: Tensor) -> dict[str, Any]:
    """Write all pictures into `pixels`, of which there is nothing to note."""
    far, each = data.population == "far", data.images_per_identity
    fixed_ranges, view_ranges, paint = (CLASS, VIEW, shapes) if far else (PERSON, PICTURE, portraits)
    order = torch.randperm(KINDS, generator=stream(data.seed, data.population, "kinds"))

    def draw(number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return what identity `number` is, how its pictures vary, and their noise, from its own streams."""
        identity, drift, view, grain = (
            stream(data.seed, data.population, number, part)
            for part in ("identity", "drift", "view", "grain")
        )
        fixed = sample(fixed_ranges, 1, identity)
        if far:
            fixed = assign_kind(fixed, number, order).expand(each, -1)
        else:
            fixed = waver(fixed, sample(fixed_ranges, each, drift))
        noise = torch.rand(each, 3, image_size, image_size, generator=grain).mul_(2).sub_(1)
        return fixed, sample(view_ranges, each, view), noise

    group = -(-BATCH // each)
    for first in range(0, data.identities, group):
        drawn = [draw(number) for number in range(first, min(first + group, data.identities))]
        fixed, views, noise = (torch.cat(part) for part in zip(*drawn, strict=True))
        for row in range(0, len(fixed), BATCH):
            rows = slice(row, min(row + BATCH, len(fixed)))
            person, picture = named(fixed_ranges, fixed[rows]), named(view_ranges, views[rows])
            start = first * each + row
            pixels[start : start + rows.stop - row] = paint(image_size, person, picture, noise[rows])
    return {}
