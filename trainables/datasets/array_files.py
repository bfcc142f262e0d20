"""Base of published data sets whose pictures lie in a few files of numbers, not in one file each."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image

from trainables.datasets.layout import Part
from trainables.datasets.pictures import Picture
from trainables.datasets.published import Catalogue, Item, Protocol, Published, View
from trainables.datasets.tree import Tree

PRIVATE = 5  # the first so many classes
Arrays = dict[Part, tuple[Any, list[int]]]  # part -> uint8 (N, H, W) or (N, H, W, 3), and labels


@dataclass(frozen=True, kw_only=True)
class ArrayFiles(Published):
    """Ten classes; the first five are private, and the other five are what the attacker has.

    part: private keeps the training and the test part apart, public puts both together; all has ten classes.
    """

    classes: ClassVar[tuple[str, ...]]

    part: Literal["private", "public", "all"] = "private"

    @property
    def usage(self) -> Protocol:
        """Return the size of GMI's and KEDMI's targets for small pictures."""
        return Protocol(32, View())

    def arrays(self, tree: Tree) -> Arrays:
        """Return the pictures; raise `ConfigError` for files that are missing or damaged."""
        raise NotImplementedError

    def catalogue(self, tree: Tree) -> Catalogue:
        """Return the part, in the order of the files."""
        labels = {"private": range(PRIVATE), "public": range(PRIVATE, 10), "all": range(10)}[self.part]
        items = [
            Item(f"{part}/{number}", self.classes[label], None if self.part == "public" else part)
            for part, (_, numbers) in _arrays(self, tree).items()
            for number, label in enumerate(numbers)
            if label in labels
        ]
        return Catalogue(tuple(items), tuple(self.classes[label] for label in labels))

    def bytes_of(self, tree: Tree, item: Item) -> bytes:
        """Return the numbers of a picture."""
        part, _, number = item.path.partition("/")
        picture: bytes = _arrays(self, tree)[part][0][int(number)].tobytes()  # type: ignore[index]
        return picture

    def decoded(self, content: bytes) -> Picture:
        """Return the picture of these numbers, grey or RGB by how many they are."""
        values = np.frombuffer(content, dtype=np.uint8)
        side = round((values.size / 3) ** 0.5)
        if values.size == 3 * side * side:
            return Picture(Image.fromarray(values.reshape(side, side, 3)))
        side = round(values.size**0.5)
        return Picture(Image.fromarray(values.reshape(side, side)).convert("RGB"))

    def digest_of(self, tree: Tree, item: Item, digests: Mapping[str, str]) -> str:
        """Return the digest of the picture's numbers."""
        return hashlib.sha256(self.bytes_of(tree, item)).hexdigest()


@lru_cache(maxsize=1)
def _arrays(data: ArrayFiles, tree: Tree) -> Arrays:
    return data.arrays(tree)
