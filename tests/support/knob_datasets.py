"""Knobs of published data sets away from their usual values, on small trees; what comes out of each."""

from pathlib import Path
from typing import Any

import torch
from knob_outcomes import FromFolder
from knob_values import To
from published_trees import TREES

from trainables.datasets.base import Images
from trainables.datasets.overlap import check_parts
from trainables.datasets.split import split
from trainables.errors import ConfigError


def outcome_of_equal_images(data: Any) -> object:
    """Return what a trial says of equal images in two parts and under two people."""
    alike = Images(
        pixels=torch.zeros(8, 3, 32, 32, dtype=torch.uint8),
        labels=torch.arange(8) % 2,
        names=("a", "b"),
        files=tuple(map(str, range(8))),
    )
    try:
        return check_parts(split(alike), allow=data.allow_duplicates)
    except ConfigError:
        return "refused"


def published_outcome(data: Any) -> object:
    """Return the images, or that there are none, and what is said of equal ones."""
    try:
        images = data.load(32)
    except ConfigError:
        return "refused"
    shown = images.pixels, images.labels, images.names, images.files, images.reserved
    return *shown, outcome_of_equal_images(data)


def tree(kind: str, more: str = "") -> FromFolder:
    """Return the tree of `kind`; more: the name of a file beside it."""

    def write(folder: Path) -> str:
        root = folder / f"{kind}{more}"
        if not root.exists():
            TREES[kind](root)
            if more:
                (root / more).write_text("another copy")
        return str(root)

    return FromFolder(write)


def lists(*people: int) -> FromFolder:
    """Return lists for the tree of CelebA: these people's images, one of each tested; 28's are public."""

    def write(folder: Path) -> str:
        root = folder / f"lists{people}"
        root.mkdir(exist_ok=True)
        own = {7: (1, 5, 9, 12), 14: (2, 6, 10, 13), 21: (3, 7, 11, 14), 28: (4, 8)}
        rows = [(f"{n:06d}.jpg {label}", n) for label, person in enumerate(people) for n in own[person]]
        tested = {own[person][0] for person in people}
        (root / "trainset.txt").write_text("\n".join(row for row, n in rows if n not in tested))
        (root / "testset.txt").write_text("\n".join(row for row, n in rows if n in tested))
        (root / "ganset.txt").write_text("\n".join(f"{n:06d}.jpg" for n in own[28]))
        return str(root)

    return FromFolder(write)


USUAL: dict[str, dict[str, Any]] = {
    kind: {"root": tree(kind)} | ({"lists": lists(14, 7)} if kind == "celeba" else {}) for kind in TREES
}
PART = {"part": "public"}
FEW = {"least_images": 5}
OWN: dict[str, dict[str, Any]] = {
    "celeba": PART | {"protocol": To("vmi", {"lists": None}), "lists": lists(7, 21)},
    "facescrub": FEW | {"protocol": "gmi"},
    "ffhq": {"protocol": "ppa"},
    "vggface2": FEW | {"part": "test"},
    "afhq": {"animal": "cat"},
    **dict.fromkeys(("pubfig83", "ms_celeb", "lfw", "imagenet", "stanford_dogs"), FEW),
    **dict.fromkeys(("cifar10", "mnist", "fashion_mnist"), PART),
}
CHANGES = {
    kind: {"root": tree(kind, "notes.txt"), "limit": 1, "allow_duplicates": True, **OWN.get(kind, {})}
    for kind in TREES
}
