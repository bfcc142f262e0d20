"""Base class of data sets: labelled images in memory, with a record of where each came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.errors import ConfigError
from trainables.method import FILE, Method, knobs_marked
from trainables.storage.pixel_cache import rows


@dataclass(frozen=True, kw_only=True)
class Images:
    """Labelled images.

    Attributes:
        pixels: uint8 (N, 3, S, S).
        labels: int64 (N,) in 0 .. K-1.
        names: K identity names, in label order.
        files: N origins (a path, or a description for rendered images), used in errors and overlap checks.
        reserved: bool (N,), True for images that the data set itself keeps for testing, or None.
        checked: bool (N,), the same for validation, or None.
        digests: of the bytes of each image's file; None for images that come from no files.
        warnings: what a reader must know of how the images were read.
    """

    pixels: Tensor
    labels: Tensor
    names: tuple[str, ...]
    files: tuple[str, ...]
    reserved: Tensor | None = None
    checked: Tensor | None = None
    digests: tuple[bytes, ...] | None = None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """Return the number of identities, K."""
        return len(self.names)

    def select(self, index: Tensor) -> "Images":
        """Return the images at `index` (int64 or bool); names stay, so labels keep their meaning."""
        if index.dtype == torch.bool:
            index = index.nonzero().flatten()
        return Images(
            pixels=rows(self.pixels, index),
            labels=self.labels[index],
            names=self.names,
            files=tuple(self.files[i] for i in index.tolist()),
            reserved=None if self.reserved is None else self.reserved[index],
            checked=None if self.checked is None else self.checked[index],
            digests=None if self.digests is None else tuple(self.digests[i] for i in index.tolist()),
            warnings=self.warnings,
        )


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a data set finds on a disk.

    people, images: how many, as the layout tells. fingerprint: of the names and bytes of the images, the same
    wherever they lie.
    """

    people: int
    images: int
    fingerprint: str


def as_float(pixels: Tensor) -> Tensor:
    """Return uint8 pixels (N, 3, S, S) as float32 in [0, 1], the range of every network here."""
    return pixels.float().div_(255)


@dataclass(frozen=True, kw_only=True)
class Dataset(Method):
    """The base of all data sets: knobs and one verb, `load`. Register a subclass in ``datasets.DATASETS``."""

    def __post_init__(self) -> None:
        for knob in knobs_marked(self, FILE):
            path = getattr(self, knob)
            if isinstance(path, str) and not path.strip():  # a path of nothing is the current directory
                raise ConfigError(f"{knob} of {self.kind} must name a folder or a file; got {path!r}")

    @property
    def view(self) -> dict[str, Any]:
        """Return how pictures are cut before they are scaled, JSON-ready: what `pictures.square` takes."""
        return {}

    @property
    def allow_duplicates(self) -> Any:
        """Return whether equal images in two parts or under two people are no error."""
        return False

    @property
    def anonymous_names(self) -> Any:
        """Return whether names say nothing about who is shown, so that they are not compared."""
        return False

    def stamp(self) -> Any:
        """Return what differs once the data loaded last have changed; cheaper than to load them again."""
        return None

    def contents(self, memory: Path | None = None) -> Contents | None:
        """Return what lies on the disk, nothing decoded; None for a data set that reads none.

        memory: a folder in which digests of files are remembered. Raises `ConfigError` as `load` does for
        what is missing or has no layout.
        """
        return None

    def has_parts(self) -> bool:
        """Return whether some of its images are reserved for testing or validation, nothing decoded.

        Raises `ConfigError` as `contents` does.
        """
        return False

    def load(self, image_size: int) -> Images:
        """Return all images at `image_size`; raise `ConfigError` for anything missing or unreadable."""
        raise NotImplementedError
