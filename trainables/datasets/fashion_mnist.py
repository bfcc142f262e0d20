"""FashionMNIST, through torchvision's loader."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from trainables.datasets.array_files import ArrayFiles, Arrays
from trainables.datasets.mnist import idx_arrays
from trainables.datasets.tree import Tree


@dataclass(frozen=True, kw_only=True)
class FashionMNIST(ArrayFiles):
    """Clothes: the first five kinds are private, the other five public, grey in three channels."""

    kind: ClassVar[str] = "fashion_mnist"
    summary: ClassVar[str] = "FashionMNIST: the first five kinds of clothes private, the others public"
    source: ClassVar[str] = "Xiao et al., Fashion-MNIST, arXiv 1708.07747"
    layout: ClassVar[str] = "FashionMNIST/raw/train-images-idx3-ubyte and the three files beside it, unpacked"
    obtain: ClassVar[str] = "torchvision.datasets.FashionMNIST(ROOT, download=True) puts it there"
    classes: ClassVar[tuple[str, ...]] = (
        "T-shirt",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of the files."""
        return ("FashionMNIST/raw",)

    def counts_published(self) -> Mapping[str, int]:
        """Return the published counts: 6,000 and 1,000 of each kind."""
        if self.part == "public":
            return {"images": 35_000}
        share = 2 if self.part == "private" else 1
        return {"training": 60_000 // share, "test": 10_000 // share}

    def arrays(self, tree: Tree) -> Arrays:
        """Return both parts; raise `ConfigError` for files that are missing or damaged."""
        return idx_arrays(tree, "FashionMNIST")
