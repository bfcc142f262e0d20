"""MNIST, through torchvision's loader."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from trainables.datasets.array_files import ArrayFiles, Arrays
from trainables.datasets.layout import Part
from trainables.datasets.tree import Tree

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True, kw_only=True)
class MNIST(ArrayFiles):
    """Digits: 0 to 4 are private, 5 to 9 public, 28 pixels scaled to the image size, grey in all channels."""

    kind: ClassVar[str] = "mnist"
    summary: ClassVar[str] = "MNIST: digits 0 to 4 private, 5 to 9 public"
    source: ClassVar[str] = "LeCun et al., Gradient-based learning applied to document recognition, 1998"
    layout: ClassVar[str] = "MNIST/raw/train-images-idx3-ubyte and the three files beside it, unpacked"
    obtain: ClassVar[str] = "torchvision.datasets.MNIST(ROOT, download=True) puts it there"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    folder: ClassVar[str] = "MNIST"

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of the files."""
        return (f"{self.folder}/raw",)

    def counts_published(self) -> Mapping[str, int]:
        """Return the published counts of the part."""
        if self.part == "private":
            return {"classes": 5, "training": 30_596, "test": 5_139}
        return {"images": 34_265} if self.part == "public" else {"training": 60_000, "test": 10_000}

    def arrays(self, tree: Tree) -> Arrays:
        """Return both parts; raise `ConfigError` for files that are missing or damaged."""
        return idx_arrays(tree, self.folder)


def idx_arrays(tree: Tree, folder: str) -> Arrays:
    """Return the training and the test part that torchvision's loader of this name reads."""
    from torchvision import datasets

    missing = [name for name in FILES if not tree.has(f"{folder}/raw/{name}")]
    if missing:
        raise tree.error(f"the file {folder}/raw/{missing[0]}", f"{len(missing)} of 4 missing")
    arrays: Arrays = {}
    parts: tuple[Part, ...] = ("train", "test")
    for part in parts:
        try:
            loader = getattr(datasets, folder)(tree.root / tree.prefix, train=part == "train", download=False)
            pictures, labels = loader.data.numpy(), loader.targets.tolist()
        except (RuntimeError, ValueError, AssertionError, OSError, KeyError, TypeError) as error:
            raise tree.error(f"the {part} part that torchvision reads", f"'{error}'") from None
        if pictures.ndim != 3 or len(pictures) != len(labels) or not set(labels) <= set(range(10)):
            raise tree.error(
                f"as many labels 0 to 9 as pictures in the {part} part of {folder}",
                f"{len(labels)} labels of {len(pictures)} pictures",
            )
        arrays[part] = (pictures, labels)
    return arrays
