"""AFHQ: animal faces, as public images of Stanford Dogs."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from trainables.datasets.published import Catalogue, Item, Protocol, Published, View
from trainables.datasets.tree import Tree


@dataclass(frozen=True, kw_only=True)
class AFHQ(Published):
    """Faces of animals, 512 pixels, taken whole, the training part and the other one together.

    The two published versions differ by some images of each animal, so that no count is right for both.

    animal: one of them, or all three as classes.
    """

    kind: ClassVar[str] = "afhq"
    summary: ClassVar[str] = "AFHQ: faces of dogs, cats and wild animals, as public images"
    source: ClassVar[str] = "Choi et al., StarGAN v2, CVPR 2020"
    layout: ClassVar[str] = "train/dog/file.png and test/dog/file.png (or val), likewise cat and wild"
    obtain: ClassVar[str] = "get afhq_v2.zip (or afhq.zip) by https://github.com/clovaai/stargan-v2"
    exact: ClassVar[bool] = False

    animal: Literal["dog", "cat", "wild", "all"] = "dog"

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of the training part."""
        return ("train",)

    @property
    def usage(self) -> Protocol:
        """Return PPA's size and normalization."""
        return Protocol(224, View(), "half")

    def catalogue(self, tree: Tree) -> Catalogue:
        """Return the pictures of the animal in all parts."""
        names = ("cat", "dog", "wild") if self.animal == "all" else (self.animal,)
        items = []
        for name in names:
            own = [
                Item(f"{part}/{name}/{file}", name)
                for part in ("train", "val", "test")
                for file in tree.pictures.get(f"{part}/{name}", [])
            ]
            if not own:
                raise tree.error(f"images in train/{name}", "none")
            items += own
        return Catalogue(tuple(items), names)
