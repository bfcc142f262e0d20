"""FaceScrub: faces of 265 actors and 265 actresses, cut out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from trainables.datasets.class_folders import ClassFolders, spaced
from trainables.datasets.layout import Part
from trainables.datasets.published import Item, Protocol, View, shuffled_parts
from trainables.datasets.tree import Tree


@dataclass(frozen=True, kw_only=True)
class FaceScrub(ClassFolders):
    """Cut faces of 530 people, in the class order of PPA's code: all actors by name, then all actresses.

    The images behind the published links vanish, so every copy has fewer than the 106,863 of the list. A flat
    tree ``Name/file.jpg`` is read as well; its order is that of names.

    protocol: gmi cuts the middle 54 of 64 pixels (public images, 64 px; raw: no cut, as for its GANs), ppa
        takes the whole face (224 px, normalization half) and 90 % for training by numpy's shuffle of seed 42.
    """

    kind: ClassVar[str] = "facescrub"
    summary: ClassVar[str] = "FaceScrub: cut faces of 530 actors and actresses"
    source: ClassVar[str] = (
        "Ng and Winkler, A data-driven approach to cleaning large face datasets, ICIP 2014"
    )
    layout: ClassVar[str] = "actors/faces/Name/file.jpg and actresses/faces/Name/file.jpg"
    obtain: ClassVar[str] = (
        "ask for the list of links at https://vintage.winklerbros.net/facescrub.html, download and cut them"
    )
    exact: ClassVar[bool] = False

    protocol: Literal["gmi", "raw", "ppa"] = "ppa"

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folders of actors and actresses, or the root of a flat tree."""
        return ("actors", "actresses", "")

    @property
    def usage(self) -> Protocol:
        """Return the crop, size and normalization of the protocol."""
        if self.protocol == "ppa":
            return Protocol(224, View(squeeze=True), "half")
        return Protocol(64, View(54, 64) if self.protocol == "gmi" else View())

    def counts_published(self) -> Mapping[str, int]:
        """Return the counts of the published list."""
        return {"classes": 530, "images": 106_863}

    def folders(self, tree: Tree) -> dict[str, Part | None]:
        """Return the folders of faces; those of whole photographs (images/) are another data set."""
        if tree.has("actors") or tree.has("actresses"):
            return {"actors/faces": None, "actresses/faces": None}
        return {"": None}

    def class_name(self, folder: str) -> str:
        """Return the name of the person."""
        return spaced(folder)

    def items(self, tree: Tree) -> list[Item]:
        """Return all pictures, with their parts where the protocol has some."""
        items = super().items(tree)
        if self.protocol != "ppa":
            return items
        parts = shuffled_parts(len(items))
        return [replace(item, part=part) for item, part in zip(items, parts, strict=True)]
