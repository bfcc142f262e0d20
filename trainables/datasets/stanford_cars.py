"""Stanford Cars: 196 models, through torchvision's loader."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from trainables.datasets.layout import Part
from trainables.datasets.published import Catalogue, Item, Protocol, Published, View
from trainables.datasets.tree import Tree

FOLDER = "stanford_cars"


@dataclass(frozen=True, kw_only=True)
class StanfordCars(Published):
    """Cars in the class order of cars_meta.mat, with the published training and test part.

    No paper of the field says how it cut them: the whole picture is scaled to a square (224 px). Needs scipy,
    which reads the annotations.
    """

    kind: ClassVar[str] = "stanford_cars"
    summary: ClassVar[str] = "Stanford Cars: 196 models"
    source: ClassVar[str] = "Krause et al., 3D Object Representations for Fine-Grained Categorization, 2013"
    layout: ClassVar[str] = (
        f"{FOLDER}/cars_train/00001.jpg, {FOLDER}/cars_test/00001.jpg, {FOLDER}/devkit/cars_meta.mat and "
        f"cars_train_annos.mat, {FOLDER}/cars_test_annos_withlabels.mat"
    )
    obtain: ClassVar[str] = (
        "its authors no longer serve it; torchvision's documentation of StanfordCars says where copies are"
    )

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of everything."""
        return (FOLDER,)

    @property
    def usage(self) -> Protocol:
        """Return PPA's size and normalization."""
        return Protocol(224, View(squeeze=True), "half")

    def counts_published(self) -> Mapping[str, int]:
        """Return the published counts."""
        return {"classes": 196, "training": 8_144, "test": 8_041}

    def catalogue(self, tree: Tree) -> Catalogue:
        """Return both parts; raise `ConfigError` for a missing file or a picture without one."""
        from torchvision.datasets import StanfordCars as Loader

        for name in ("devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"):
            if not tree.has(f"{FOLDER}/{name}"):
                raise tree.error(f"the file {FOLDER}/{name}", "none")
        above, items, names = tree.root / tree.prefix, list[Item](), list[str]()
        parts: dict[str, Part] = {"train": "train", "test": "test"}
        for split, part in parts.items():
            try:
                loader = Loader(above, split=split, loader=str)  # paths instead of pictures
                names = [str(name) for name in loader.classes]
                samples = [loader[n] for n in range(len(loader))]
            except Exception as error:  # what scipy raises for a damaged file is of many kinds
                raise tree.error(f"annotations of cars_{split} that scipy reads", f"'{error}'") from None
            for path, label in samples:
                relative = Path(path).relative_to(above).as_posix()
                if not 0 <= label < len(names):
                    raise tree.error(f"classes 1 to {len(names)}", f"{label + 1} of {relative}")
                items.append(Item(relative, names[label], part))
        tree.need([item.path for item in items], "cars_train_annos.mat or cars_test_annos_withlabels.mat")
        return Catalogue(tuple(items), tuple(names))
