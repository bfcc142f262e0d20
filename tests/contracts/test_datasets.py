"""What every data set must do, on a tree that the test writes: mostly three identities of four pictures."""

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from knob_datasets import outcome_of_equal_images
from picture_folders import write_people
from published_trees import TREES
from pydantic import TypeAdapter

from trainables.datasets import DATASETS
from trainables.datasets.base import Dataset
from trainables.datasets.overlap import check_disjoint
from trainables.errors import ConfigError
from trainables.method import LATER, knobs_marked
from trainables.storage.content import with_content
from trainables.storage.store import content_key


def written(root: Path) -> str:
    """Write three identities of four noisy pictures, 40 by 30 pixels, and return the folder."""
    return str(write_people(root, "a", "b", "c", images=4, size=(40, 30)))


EXAMPLES: dict[str, Callable[[Path], dict[str, object]]] = {
    "synthetic_faces": lambda folder: {"population": "private", "identities": 3, "images_per_identity": 4},
    "image_folder": lambda folder: {"root": written(folder)},
    **{kind: (lambda folder, tree=tree: {"root": str(tree(folder))}) for kind, tree in TREES.items()},
    "afhq": lambda folder: {"root": str(TREES["afhq"](folder)), "animal": "all"},
}
# Images of each class, in label order, where they are not three times four.
COUNTS = {"ffhq": [12], "cifar10": [4] * 5, "mnist": [4] * 5, "fashion_mnist": [4] * 5}


@pytest.fixture(autouse=True)
def few_private_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make three of the four people in the tree of CelebA private, as 1,000 of its 10,177 are."""
    monkeypatch.setattr("trainables.datasets.celeba.PEOPLE", 3)


def outcome(data: Dataset) -> object:
    """Return what was loaded: names, how many images, and the sum of their pixels; or that it was refused."""
    try:
        images = data.load(32)
    except ConfigError:
        return "refused"
    return images.names, len(images), images.pixels.sum().item()


def names_are_compared(data: Dataset) -> object:
    """Return whether equal names in private and public data are refused."""
    images = data.load(32)
    others = dataclasses.replace(images, pixels=255 - images.pixels, digests=None, files=("x",) * len(images))
    try:
        check_disjoint(images, others, names=not data.anonymous_names)
    except ConfigError:
        return "refused"
    return "accepted"


# A value of each knob away from its default, and where it shows if not in the images.
AWAY: dict[str, dict[str, tuple[Any, Callable[[Dataset], object]]]] = {
    "synthetic_faces": {"population": ("public", lambda data: data.load(32).pixels.sum())},
    "image_folder": {
        "crop": (20, lambda data: data.load(32).pixels.sum()),
        "limit": (2, lambda data: data.load(32).names),
        "fit": ("pad", lambda data: data.load(32).pixels.sum()),
        "allow_duplicates": (True, outcome_of_equal_images),
        "anonymous_names": (True, names_are_compared),
    },
}
SHARED = {
    "limit": (1, outcome),
    "allow_duplicates": (True, outcome_of_equal_images),
    "least_images": (5, outcome),
}
AWAY |= {
    "celeba": {"part": ("public", outcome), "protocol": ("vmi", outcome)},
    "facescrub": {"protocol": ("gmi", outcome)},
    "ffhq": {"protocol": ("ppa", outcome)},
    "vggface2": {"part": ("test", outcome)},
    "afhq": {"animal": ("cat", outcome)},
    **{kind: {"part": ("public", outcome)} for kind in ("cifar10", "mnist", "fashion_mnist")},
}
ELSEWHERE = {"root", "lists"}  # where the data lie, not what they are


@pytest.fixture(params=sorted(DATASETS))
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    return DATASETS[request.param](**EXAMPLES.get(request.param, lambda folder: {})(tmp_path))


def test_class_says_what_it_is(data: Dataset) -> None:
    assert DATASETS[data.kind] is type(data)
    assert data.summary and "\n" not in data.summary and data.source


def test_knobs_are_frozen_and_survive_yaml_and_pickle(data: Dataset) -> None:
    assert dataclasses.is_dataclass(data)
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.kind = "other"  # type: ignore[misc]
    text = yaml.safe_dump(dataclasses.asdict(data))
    assert TypeAdapter(type(data)).validate_python(yaml.safe_load(text)) == data
    assert pickle.loads(pickle.dumps(data)) == data
    assert content_key(data=data) == content_key(data=pickle.loads(pickle.dumps(data)))


@pytest.mark.parametrize("size", [32, 40, 50])
def test_images_are_whole(data: Dataset, size: int) -> None:
    images = data.load(size)
    counts = COUNTS.get(data.kind, [4, 4, 4])
    count = sum(counts)
    assert images.pixels.shape == (count, 3, size, size) and images.pixels.dtype == torch.uint8
    assert images.labels.dtype == torch.int64 and images.labels.bincount().tolist() == counts
    assert images.classes == len(counts) == len(set(images.names))
    assert len(set(images.files)) == len(images) == count
    assert images.reserved is None or images.reserved.shape == (count,)


def test_loading_twice_gives_the_same(data: Dataset) -> None:
    one, two = data.load(32), dataclasses.replace(data).load(32)  # type: ignore[type-var]
    assert torch.equal(one.pixels, two.pixels) and one.files == two.files


def test_pictures_differ(data: Dataset) -> None:
    pictures = data.load(32).pixels.flatten(1)
    assert len(pictures.unique(dim=0)) == len(pictures)


def test_selecting_keeps_the_meaning_of_labels(data: Dataset) -> None:
    images = data.load(32)
    label = images.classes - 1
    rows = [row for row, own in enumerate(images.labels.tolist()) if own == label]
    part = images.select(images.labels == label)
    assert part.names == images.names and set(part.labels.tolist()) == {label}
    assert part.files == tuple(images.files[row] for row in rows)
    assert torch.equal(part.pixels, torch.stack([images.pixels[row] for row in rows]))


def test_every_knob_shows_in_what_is_done(data: Dataset) -> None:
    for field in dataclasses.fields(data):
        if field.name in ELSEWHERE:
            continue
        value = getattr(data, field.name)
        plain = (
            value + 1 if isinstance(value, int) else value,
            lambda data: data.load(32).pixels.float().sum(),
        )
        own = AWAY.get(data.kind, {})
        away, effect = own.get(field.name) or SHARED.get(field.name, plain)
        assert away != value, f"say in AWAY what {field.name} of {data.kind} may be"
        other = dataclasses.replace(data, **{field.name: away})  # type: ignore[type-var]
        assert effect(other) != effect(data), field.name
        assert with_content(other) != with_content(data), field.name


def test_a_later_knob_enters_no_key_at_its_default(data: Dataset) -> None:
    assert not set(with_content(data)) & set(knobs_marked(data, LATER))
