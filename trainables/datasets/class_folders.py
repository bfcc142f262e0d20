"""Base of published data sets that are a folder for each class, perhaps in folders of parts."""

from collections import Counter
from dataclasses import dataclass

from trainables.datasets.layout import Part
from trainables.datasets.published import Catalogue, Item, Published
from trainables.datasets.tree import Tree
from trainables.errors import ConfigError
from trainables.method import later_knob


@dataclass(frozen=True, kw_only=True)
class ClassFolders(Published):
    """Folders of classes in one or several folders, classes in the order of these folders and their names.

    least_images: only classes with at least so many images; an identity needs 4 to be split.
    """

    least_images: int = later_knob(1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least_images < 1:
            raise ConfigError(f"least_images of {self.kind} must be at least 1; got {self.least_images}")

    def folders(self, tree: Tree) -> dict[str, Part | None]:
        """Return the folders that hold those of classes -> their part; by default the first landmark."""
        return {next((mark for mark in self.landmarks if mark and tree.has(mark)), ""): None}

    def class_name(self, folder: str) -> str:
        """Return the name of the class whose images lie in a folder; people's are spelled with spaces."""
        return folder

    def items(self, tree: Tree) -> list[Item]:
        """Return all pictures."""
        items = [
            Item(f"{above}/{folder}/{file}" if above else f"{folder}/{file}", self.class_name(folder), part)
            for above, part in self.folders(tree).items()
            for folder, files in tree.inside(above).items()
            for file in files
        ]
        trained = {item.name for item in items if item.part in (None, "train")}
        strange = sorted({item.name for item in items} - trained)
        if strange:
            raise tree.error(
                "the classes of training in the other parts",
                f"{len(strange)} that are in no training part, such as {strange[0]!r}",
            )
        return items

    def catalogue(self, tree: Tree) -> Catalogue:
        """Return the classes that have enough images."""
        items = self.items(tree)
        counts = Counter(item.name for item in items)
        names = tuple(name for name in counts if counts[name] >= self.least_images)
        if not names:
            name, most = counts.most_common(1)[0]
            raise tree.error(
                f"a class with {self.least_images} images (least_images)", f"{most} at most, of {name!r}"
            )
        return Catalogue(tuple(item for item in items if counts[item.name] >= self.least_images), names)


def spaced(folder: str) -> str:
    """Return a person's name as it is spoken, so that the same person has one name in all data sets."""
    return folder.replace("_", " ").strip()
