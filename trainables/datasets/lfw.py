"""Labeled Faces in the Wild: 5,749 people, most of them once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from trainables.datasets.class_folders import ClassFolders, spaced
from trainables.datasets.published import Protocol, View

FOLDERS = ("lfw_funneled", "lfw-deepfunneled", "lfw-funneled", "lfw")


@dataclass(frozen=True, kw_only=True)
class LFW(ClassFolders):
    """Photographs of 250 by 250 pixels, taken whole, in torchvision's layout (funneled or not).

    As private images it needs `least_images`: 4,069 of its people have one image.
    """

    kind: ClassVar[str] = "lfw"
    summary: ClassVar[str] = "Labeled Faces in the Wild: 13,233 photographs of 5,749 people"
    source: ClassVar[str] = "Huang et al., Labeled Faces in the Wild, 2007"
    layout: ClassVar[str] = "lfw_funneled/First_Last/First_Last_0001.jpg (or lfw, lfw-deepfunneled)"
    obtain: ClassVar[str] = "unpack lfw-funneled.tgz of http://vis-www.cs.umass.edu/lfw there"

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folders that the archives unpack to."""
        return FOLDERS

    @property
    def usage(self) -> Protocol:
        """Return a size; papers differ."""
        return Protocol(64, View())

    def counts_published(self) -> Mapping[str, int]:
        """Return the published counts."""
        return {"classes": 5_749, "images": 13_233} if self.least_images == 1 else {}

    def class_name(self, folder: str) -> str:
        """Return the name of the person."""
        return spaced(folder)
