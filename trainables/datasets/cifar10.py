"""CIFAR-10: through torchvision's loader, or the binary version, which holds no pickles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from trainables.datasets.array_files import ArrayFiles, Arrays
from trainables.datasets.layout import Part
from trainables.datasets.tree import Tree

PYTHON, BINARY = "cifar-10-batches-py", "cifar-10-batches-bin"
RECORD = 1 + 3 * 32 * 32  # a label and three planes
BATCHES: dict[Part, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}


@dataclass(frozen=True, kw_only=True)
class CIFAR10(ArrayFiles):
    """Ten kinds of things at 32 pixels: the first five are private, the other five public.

    The pickles of the Python version are read only if they are the published ones, byte for byte.
    """

    kind: ClassVar[str] = "cifar10"
    summary: ClassVar[str] = "CIFAR-10: the first five classes private, the others public"
    source: ClassVar[str] = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
    layout: ClassVar[str] = f"{PYTHON}/data_batch_1 and so on, or {BINARY}/data_batch_1.bin and so on"
    obtain: ClassVar[str] = (
        "torchvision.datasets.CIFAR10(ROOT, download=True) puts it there, or unpack cifar-10-binary.tar.gz "
        "of https://www.cs.toronto.edu/~kriz/cifar.html"
    )
    classes: ClassVar[tuple[str, ...]] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folders of the two versions."""
        return (PYTHON, BINARY)

    def counts_published(self) -> Mapping[str, int]:
        """Return the published counts: 5,000 and 1,000 of each class."""
        if self.part == "public":
            return {"images": 30_000}
        share = 2 if self.part == "private" else 1
        return {"training": 50_000 // share, "test": 10_000 // share}

    def arrays(self, tree: Tree) -> Arrays:
        """Return both parts; raise `ConfigError` for files that are missing, damaged or not the published."""
        if not tree.has(PYTHON):
            return {part: _binary(tree, names) for part, names in BATCHES.items()}
        from torchvision.datasets import CIFAR10 as Loader

        arrays: Arrays = {}
        parts: tuple[Part, ...] = ("train", "test")
        for part in parts:
            try:  # checks the bytes before it unpickles them
                loader = Loader(tree.root / tree.prefix, train=part == "train", download=False)
            except RuntimeError:
                raise tree.error(
                    f"the published files in {PYTHON}, by their MD5 sums", "files that are missing or others"
                ) from None
            arrays[part] = (loader.data, list(loader.targets))
        return arrays


def _binary(tree: Tree, names: tuple[str, ...]) -> tuple[Any, list[int]]:
    batches = []
    for name in names:
        place = tree.root / tree.prefix / BINARY / name
        if not place.is_file():
            raise tree.error(f"the file {BINARY}/{name}", "none")
        values = np.fromfile(place, dtype=np.uint8)
        if values.size == 0 or values.size % RECORD:
            raise tree.error(f"records of {RECORD} bytes in {BINARY}/{name}", f"{values.size} bytes")
        batches.append(values.reshape(-1, RECORD))
    rows = np.concatenate(batches)
    labels = rows[:, 0].tolist()
    if max(labels) > 9:
        raise tree.error(f"labels 0 to 9 in {BINARY}", f"{max(labels)}")
    return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
