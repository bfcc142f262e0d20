"""CelebA: aligned photographs of 10,177 people; the private and public parts of three lines of papers."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from trainables.datasets.published import Catalogue, Item, Protocol, Published, View, shuffled_parts
from trainables.datasets.tree import Tree
from trainables.errors import ConfigError
from trainables.method import file_knob
from trainables.storage.folders import list_folder

PEOPLE = 1000  # private ones
PUBLIC = 30_000  # images of GMI's public list
TRAINED = 25  # images of a person that VMI trains on
FOLDER = "img_align_celeba"
IDENTITIES = "identity_CelebA.txt"
LISTS = ("trainset.txt", "testset.txt", "ganset.txt")
Named = dict[str, str]  # the stem of a file -> whom it shows


@dataclass(frozen=True, kw_only=True)
class CelebA(Published):
    """Aligned CelebA (178 by 218 pixels), in torchvision's layout.

    The private people are the 1,000 with most images, in that order, those of equal counts in the order of
    their first image. PPA's 90 % for training come from numpy's shuffle of seed 42, VMI's are the first 25
    images of each person. GMI's published lists follow from no rule that was told. Rebuilt without them, the
    last tenth of each person's images, rounded up, is the test set (as many of each as in the lists), and the
    public images are those 30,000 of other people whose names have the smallest SHA-256.

    part: the private people, or images of other people (of PPA and VMI: all of them).
    protocol: gmi cuts the middle 108 pixels (64 px; also of KEDMI, BiDO, TL-DMI), vmi the middle 128 (64 px,
        normalization half), ppa takes the largest square (224 px, half; it had pictures that HD CelebA
        Cropper cut closer from the photographs, at a face factor of 0.65).
    lists: a folder with the published trainset.txt, testset.txt and ganset.txt of gmi, each line a file, and
        its label where it is private; their label order is then that of the classes.
    """

    kind: ClassVar[str] = "celeba"
    summary: ClassVar[str] = "CelebA: 1,000 people and public images of GMI, KEDMI and BiDO; of VMI; of PPA"
    source: ClassVar[str] = "Liu et al., Deep Learning Face Attributes in the Wild, ICCV 2015"
    layout: ClassVar[str] = f"{FOLDER}/000001.jpg with {IDENTITIES} beside that folder"
    obtain: ClassVar[str] = (
        "get img_align_celeba.zip and Anno/identity_CelebA.txt from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and unpack them there"
    )

    part: Literal["private", "public"] = "private"
    protocol: Literal["gmi", "vmi", "ppa"] = "gmi"
    lists: str | None = file_knob(None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lists is not None and self.protocol != "gmi":
            raise ConfigError(
                f"celeba expects lists only of protocol gmi; got protocol {self.protocol}; leave lists out"
            )

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of the pictures."""
        return (FOLDER,)

    @property
    def usage(self) -> Protocol:
        """Return the crop, size and normalization of the protocol."""
        if self.protocol == "gmi":
            return Protocol(64, View(108, 178))
        return (
            Protocol(64, View(128, 178), "half") if self.protocol == "vmi" else Protocol(224, View(), "half")
        )

    def counts_published(self) -> Mapping[str, int]:
        """Return the counts of the published lists."""
        if self.part == "public":
            return {"images": PUBLIC} if self.protocol == "gmi" else {}
        counts = {"training": 27_018, "test": 3_009} if self.protocol == "gmi" and self.lists else {}
        return {"classes": PEOPLE, **counts}

    def _extra(self) -> Any:
        place = None if self.lists is None else Path(self.lists).expanduser()
        return list_folder(place) if place is not None and place.is_dir() else None

    def catalogue(self, tree: Tree) -> Catalogue:
        """Return the part; raise `ConfigError` for a missing list or image, or lists that contradict it."""
        files = {PurePosixPath(name).stem: name for name in tree.pictures.get(FOLDER, [])}
        if self.lists is not None:
            people = _people(tree) if tree.has(IDENTITIES) else {}
            catalogue = self._listed(tree, people)
        else:
            catalogue = self._rebuilt(_people(tree))
        chosen = [
            Item(f"{FOLDER}/{files.get(i.path, i.path + '.jpg')}", i.name, i.part) for i in catalogue.items
        ]
        tree.need([item.path for item in chosen], IDENTITIES if self.lists is None else str(self.lists))
        return Catalogue(tuple(chosen), catalogue.names, catalogue.notes)

    def _rebuilt(self, people: Named) -> Catalogue:
        ranked = [name for name, _ in Counter(people.values()).most_common(PEOPLE)]
        private = set(ranked)
        if self.part == "public":
            others = [stem for stem in people if people[stem] not in private]
            if self.protocol == "gmi":
                few = set(sorted(others, key=lambda stem: hashlib.sha256(stem.encode()).digest())[:PUBLIC])
                others = [stem for stem in others if stem in few]
            return _public(others, people)
        stems = [stem for stem in people if people[stem] in private]
        if self.protocol == "ppa":
            parts = dict(zip(stems, shuffled_parts(len(stems)), strict=True))
        else:
            parts = {}
            images: dict[str, list[str]] = {name: [] for name in ranked}
            for stem in stems:
                images[people[stem]].append(stem)
            for own in images.values():
                trained = TRAINED if self.protocol == "vmi" else len(own) - -(-len(own) // 10)
                parts |= {stem: "train" if n < trained else "test" for n, stem in enumerate(own)}
        return Catalogue(tuple(Item(stem, people[stem], parts[stem]) for stem in stems), tuple(ranked))

    def _listed(self, tree: Tree, people: Named) -> Catalogue:
        place = Path(self.lists or "").expanduser()
        read = {name: _lines(tree, place, name) for name in LISTS}
        if self.part == "public":
            return _public([stem for stem, _ in read["ganset.txt"]], people)
        items, names = [], dict[int, str]()
        for file, part in (("trainset.txt", "train"), ("testset.txt", "test")):
            for stem, label in read[file]:
                if label is None:
                    raise tree.error(f"a label behind each file of {place / file}", f"none behind {stem}")
                name = people.get(stem, f"CelebA label {label} of the lists")
                if names.setdefault(label, name) != name:
                    raise tree.error(
                        f"one person under each label of {place}",
                        f"{names[label]} and {name} under {label}, by {IDENTITIES}",
                    )
                items.append(Item(stem, name, part))  # type: ignore[arg-type]
        return Catalogue(tuple(items), tuple(names[label] for label in sorted(names)))


def _people(tree: Tree) -> Named:
    """Return whom each file shows, in the order of the identity file."""
    people: Named = {}
    for number, line in enumerate(tree.text(IDENTITIES).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not words[1].isdigit():
            raise tree.error(f"lines like '000001.jpg 2880' in {IDENTITIES}", f"{line!r} in line {number}")
        # no "CelebA 12": a name that only counts is not compared with those of pre-training
        people[PurePosixPath(words[0]).stem] = f"CelebA person {words[1]}"
    return people


def _public(stems: list[str], people: Named) -> Catalogue:
    shown = {stem: people.get(stem, "all") for stem in stems}
    return Catalogue(tuple(Item(s, shown[s]) for s in stems), tuple(dict.fromkeys(shown.values())))


def _lines(tree: Tree, place: Path, name: str) -> list[tuple[str, int | None]]:
    """Return (stem, label or None) of each line of a list, which may also be called celeba_NAME."""
    path = next((p for p in (place / name, place / f"celeba_{name}") if p.is_file()), None)
    if path is None:
        raise tree.error(f"the list {place / name}", "no such file")
    rows = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    bad = [row for row in rows if len(row) > 2 or (len(row) == 2 and not row[1].isdigit())]
    if bad:
        raise tree.error(f"lines like '000001.jpg 0' in {path}", repr(" ".join(bad[0])))
    return [(PurePosixPath(row[0]).stem, int(row[1]) if len(row) == 2 else None) for row in rows if row]
