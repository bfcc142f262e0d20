"""FFHQ: 70,000 aligned faces of nobody in particular, as public images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from trainables.datasets.published import Catalogue, Item, Protocol, Published, View
from trainables.datasets.tree import Tree

FOLDERS = {"gmi": "thumbnails128x128", "ppa": "images1024x1024"}


@dataclass(frozen=True, kw_only=True)
class FFHQ(Published):
    """Faces of FFHQ, all under the one name ``all``: nothing says who is shown.

    protocol: gmi cuts the middle 88 of the thumbnails' 128 pixels (64 px; also of KEDMI, LOMMA, MIBench), ppa
        the middle 800 of the large images' 1,024 (224 px, normalization half).
    """

    kind: ClassVar[str] = "ffhq"
    summary: ClassVar[str] = "FFHQ: 70,000 faces, thumbnails or 1024 pixels, as public images"
    source: ClassVar[str] = "Karras et al., A Style-Based Generator Architecture for GANs, CVPR 2019"
    layout: ClassVar[str] = "thumbnails128x128/00000/00000.png or images1024x1024/00000/00000.png"
    obtain: ClassVar[str] = "get the folder from the links of https://github.com/NVlabs/ffhq-dataset"

    protocol: Literal["gmi", "ppa"] = "gmi"

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of the protocol."""
        return (FOLDERS[self.protocol],)

    @property
    def usage(self) -> Protocol:
        """Return the crop, size and normalization of the protocol."""
        return (
            Protocol(64, View(88, 128)) if self.protocol == "gmi" else Protocol(224, View(800, 1024), "half")
        )

    def counts_published(self) -> Mapping[str, int]:
        """Return the published count."""
        return {"images": 70_000}

    def catalogue(self, tree: Tree) -> Catalogue:
        """Return all pictures right in the folder, or in its folders of a thousand."""
        above = FOLDERS[self.protocol]
        paths = [
            f"{folder}/{name}"
            for folder, names in tree.pictures.items()
            if folder == above or folder.startswith(f"{above}/")
            for name in names
        ]
        if not paths:
            raise tree.error(f"images in {above}", "none")
        return Catalogue(tuple(Item(path, "all") for path in paths), ("all",))
