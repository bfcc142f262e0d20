"""Stanford Dogs: 120 breeds, cut out by their annotations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import ClassVar

from trainables.datasets.class_folders import ClassFolders
from trainables.datasets.published import Box, Item, Protocol, View, shuffled_parts
from trainables.datasets.tree import Tree

SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, kw_only=True)
class StanfordDogs(ClassFolders):
    """Dogs cut out by the first box of their annotation, in the order of WordNet numbers, named by breed.

    PPA's protocol: 224 px, normalization half, 90 % for training by numpy's shuffle of seed 42. The images
    are from ImageNet: weights pre-trained there have seen the test images.
    """

    kind: ClassVar[str] = "stanford_dogs"
    summary: ClassVar[str] = "Stanford Dogs: 120 breeds, cut out by their annotations"
    source: ClassVar[str] = "Khosla et al., Novel Dataset for Fine-Grained Image Categorization, CVPRW 2011"
    layout: ClassVar[str] = (
        "Images/n02085620-Chihuahua/n02085620_10074.jpg with Annotation/n02085620-Chihuahua/n02085620_10074"
    )
    obtain: ClassVar[str] = (
        "unpack images.tar and annotation.tar of http://vision.stanford.edu/aditya86/ImageNetDogs there"
    )

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of the pictures."""
        return ("Images",)

    @property
    def usage(self) -> Protocol:
        """Return PPA's size and normalization; a box is scaled to a square as it is."""
        return Protocol(224, View(squeeze=True), "half")

    def counts_published(self) -> Mapping[str, int]:
        """Return the published counts."""
        return {"classes": 120, "images": 20_580}

    def class_name(self, folder: str) -> str:
        """Return the breed without its number."""
        return folder.partition("-")[2] or folder

    def items(self, tree: Tree) -> list[Item]:
        """Return all pictures with their boxes and parts; raise `ConfigError` for a missing annotation."""
        items = super().items(tree)
        parts = shuffled_parts(len(items))
        return [
            replace(item, part=part, box=_box(tree, item.path))
            for item, part in zip(items, parts, strict=True)
        ]


def _box(tree: Tree, path: str) -> Box:
    place = PurePosixPath(path)
    annotation = f"Annotation/{place.parent.name}/{place.stem}"
    text = tree.text(annotation)
    sides = [re.search(rf"<{side}>\s*(\d+)", text) for side in SIDES]
    left, top, right, bottom = (int(side[1]) if side else -1 for side in sides)
    if min(left, top) < 0 or right <= left or bottom <= top:
        raise tree.error(f"a box (xmin, ymin, xmax, ymax) in {annotation}", "none")
    return left, top, right, bottom
