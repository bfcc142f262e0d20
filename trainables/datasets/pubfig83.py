"""PubFig83: faces of 83 public figures, as public images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from trainables.datasets.class_folders import ClassFolders, spaced
from trainables.datasets.published import Protocol, View


@dataclass(frozen=True, kw_only=True)
class PubFig83(ClassFolders):
    """Faces of 100 by 100 pixels, of which GMI and KEDMI cut the middle 67 (64 px)."""

    kind: ClassVar[str] = "pubfig83"
    summary: ClassVar[str] = "PubFig83: faces of 83 public figures"
    source: ClassVar[str] = "Pinto et al., Scaling-up biologically-inspired computer vision, CVPRW 2011"
    layout: ClassVar[str] = "Name/file.jpg"
    obtain: ClassVar[str] = "unpack pubfig83.v1.tgz of the PubFig83 page (vision.seas.harvard.edu) there"
    exact: ClassVar[bool] = False

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder that the archive unpacks to, or the root."""
        return ("pubfig83", "")

    @property
    def usage(self) -> Protocol:
        """Return the crop and size of GMI."""
        return Protocol(64, View(67, 100))

    def counts_published(self) -> Mapping[str, int]:
        """Return the published count."""
        return {"classes": 83}

    def class_name(self, folder: str) -> str:
        """Return the name of the person."""
        return spaced(folder)
