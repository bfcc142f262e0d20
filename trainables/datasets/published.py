"""Base of published data sets: their usual layout, crop, class order, split, and published counts."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image

from trainables.datasets.base import Contents, Dataset, Images
from trainables.datasets.layout import Part
from trainables.datasets.pictures import Picture, decode, square
from trainables.datasets.reading import Pile, read_all
from trainables.datasets.tree import Tree
from trainables.errors import ConfigError
from trainables.method import file_knob
from trainables.storage.digests import file_digests
from trainables.storage.folders import is_regular

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class View:
    """How a picture becomes a square.

    crop, of: the middle square of side `crop` where the shorter side has `of` pixels, and in proportion where
    it has others; None takes the largest one. squeeze: the whole picture (or box) without its proportions.
    """

    crop: int | None = None
    of: int | None = None
    squeeze: bool = False

    def cut(self, picture: Image.Image, box: Box | None = None) -> Image.Image | None:
        """Return the square; None of a picture with nothing in its box."""
        if box is not None:
            left, top, right, bottom = box
            box = (max(0, left), max(0, top), min(picture.width, right), min(picture.height, bottom))
            if box[0] >= box[2] or box[1] >= box[3]:
                return None
            picture = picture.crop(box)
        return square(picture, **self.knobs())

    def knobs(self) -> dict[str, Any]:
        """Return the fields by name, as `square` takes them, those at their defaults left out."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}


@dataclass(frozen=True)
class Protocol:
    """How papers use a data set.

    image_size: in pixels. normalization: of the target's recipe. view: how pictures are cut.
    """

    image_size: int
    view: View
    normalization: str = "none"


@dataclass(frozen=True)
class Item:
    """A picture: its path below the root, who or what it shows, its part if it has one, and a box in it."""

    path: str
    name: str
    part: Part | None = None
    box: Box | None = None


@dataclass(frozen=True)
class Catalogue:
    """Pictures in the order of the data set, and the names of its classes in the published order."""

    items: tuple[Item, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Published(Dataset):
    """The base of published data sets, each read from its usual layout; nothing is ever downloaded.

    root: the folder; ``~`` is understood.
    limit: only the first so many classes (of a single class: images), for small runs.
    allow_duplicates: equal images in two parts or under two classes are a warning instead of an error, and so
        are images that pre-training shares with the private data.
    """

    layout: ClassVar[str]
    obtain: ClassVar[str]
    exact: ClassVar[bool] = True  # whether copies of it all hold what was published

    root: str = file_knob()
    limit: int | None = None
    allow_duplicates: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit of {self.kind} must be at least 1, or left out; got {self.limit}")

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return paths, the first of which that exists tells where the layout begins; "" is the root."""
        return ("",)

    @property
    def usage(self) -> Protocol:
        """Return how the papers that the knobs choose use the data."""
        raise NotImplementedError

    @property
    def view(self) -> dict[str, Any]:
        """Return how the papers cut pictures; without the box that a picture may have."""
        return self.usage.view.knobs()

    def counts_published(self) -> Mapping[str, int]:
        """Return the published "classes", "images", "training" and "test", as far as they are known."""
        return {}

    def catalogue(self, tree: Tree) -> Catalogue:
        """Return which pictures there are; raise `ConfigError` for what is missing."""
        raise NotImplementedError

    def bytes_of(self, tree: Tree, item: Item) -> bytes:
        """Return the bytes of the picture."""
        place = tree.root / tree.prefix / item.path
        if not is_regular(place):
            raise FileNotFoundError(item.path)
        return place.read_bytes()

    def decoded(self, content: bytes) -> Picture:
        """Return the picture that these bytes hold."""
        return decode(content)

    def tree(self) -> Tree:
        """Return the files below the root."""
        return Tree.of(self.root, self.kind, self.layout, self.obtain, *self.landmarks)

    def stamp(self) -> Any:
        """Return the times of the folders loaded last, and of the files in them that are no pictures."""
        root = Path(self.root).expanduser()
        times = [_time(place) for place in (root, *(root / name for name in WATCHED.get(str(root), ())))]
        return (*times, self._extra())

    def survey(self) -> tuple[Tree, Catalogue]:
        """Return what lies there, within `limit`, nothing decoded."""
        tree = self.tree()
        WATCHED[str(tree.root)] = (*tree.listing.folders, *tree.annotations)
        return tree, _catalogue(self, tree, self._extra())

    def _extra(self) -> Any:
        """Return what changes when files outside of the root do."""
        return None

    def load(self, image_size: int) -> Images:
        """Return all images, resized with antialiasing; kept and shared in the process: do not write to them.

        Raises `ConfigError` for a layout with something missing, and for files that are unreadable.
        """
        tree, catalogue = self.survey()
        return _read(self, tree, image_size, catalogue)

    def has_parts(self) -> bool:
        """Return whether the published parts are there, or the papers have some."""
        return any(item.part in ("validation", "test") for item in self.survey()[1].items)

    def contents(self, memory: Path | None = None) -> Contents:
        """Return how many classes and images there are, and a fingerprint of those that are used."""
        tree, catalogue = self.survey()
        digests = file_digests(tree.root.resolve(), memory)

        def digest(item: Item) -> str:
            return self.digest_of(tree, item, digests)

        rows = [
            [item.name, item.part or "", PurePosixPath(item.path).name, item.box or (), digest(item)]
            for item in catalogue.items
        ]
        return Contents(
            people=len(catalogue.names),
            images=len(catalogue.items),
            fingerprint=hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()[:20],
        )

    def digest_of(self, tree: Tree, item: Item, digests: Mapping[str, str]) -> str:
        """Return the digest of the file that holds the picture, among those of all files below the root."""
        return digests[tree.prefix + item.path]


WATCHED: dict[str, tuple[str, ...]] = {}  # what lies below each root that this process loaded


def shuffled_parts(count: int, share: float = 0.9, seed: int = 42) -> list[Part]:
    """Return the part of each of `count` images: PPA shuffles all by numpy, and trains on the first 90 %."""
    order = np.arange(count)
    np.random.RandomState(seed).shuffle(order)
    parts: list[Part] = ["test"] * count
    for position in order[: int(share * count)].tolist():
        parts[position] = "train"
    return parts


@lru_cache(maxsize=8)
def _catalogue(data: Published, tree: Tree, extra: Any) -> Catalogue:
    catalogue = data.catalogue(tree)
    if not catalogue.items:
        raise tree.error("images of what the knobs choose", "none")
    items, names = catalogue.items, catalogue.names
    if data.limit is not None and len(names) == 1:
        items = items[: data.limit]
    elif data.limit is not None:
        names = names[: data.limit]
        few = set(names)
        items = tuple(item for item in items if item.name in few)
    return Catalogue(items, names, catalogue.notes)


@lru_cache(maxsize=4)
def _read(data: Published, tree: Tree, image_size: int, catalogue: Catalogue) -> Images:
    items, view, root = catalogue.items, data.usage.view, tree.root.resolve()
    number = {name: label for label, name in enumerate(catalogue.names)}
    pile = Pile(
        kind=data.kind,
        root=str(root),
        paths=[item.path for item in items],
        read=lambda position: data.bytes_of(tree, items[position]),
        cut=lambda position, picture: view.cut(picture, items[position].box),
        recipe=["published", view, hashlib.sha256(json.dumps([i.box for i in items]).encode()).hexdigest()],
        too_small="nothing in its box",
        decode=data.decoded,
    )
    read = read_all(pile, image_size)
    given = {item.part for item in items} - {None}
    return Images(
        pixels=read.pixels,
        labels=torch.tensor([number[item.name] for item in items]),
        names=catalogue.names,
        files=tuple(str(root / tree.prefix / item.path) for item in items),
        reserved=torch.tensor([item.part == "test" for item in items]) if "test" in given else None,
        checked=(
            torch.tensor([item.part == "validation" for item in items]) if "validation" in given else None
        ),
        digests=read.digests,
        warnings=(*catalogue.notes, *read.warnings),
    )


def _time(place: Path) -> int:
    try:
        return place.stat().st_mtime_ns
    except OSError:
        return 0
