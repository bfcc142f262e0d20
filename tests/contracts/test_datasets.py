"""What every data set must do: three identities of four pictures, by its defaults or by `EXAMPLES`."""

import dataclasses
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from picture_folders import write_people
from pydantic import TypeAdapter

from trainables.datasets import DATASETS
from trainables.datasets.base import Dataset
from trainables.datasets.overlap import check_disjoint, check_parts
from trainables.datasets.split import split
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
}


def parts_are_checked(data: Dataset) -> object:
    """Return what is said of pictures that two people share; the second has one of the first's."""
    root = Path(data.root)  # type: ignore[attr-defined]
    shutil.copy(root / "a" / "0.png", root / "b" / "same.png")
    try:
        return check_parts(split(data.load(32)), allow=data.allow_duplicates)
    except ConfigError:
        return "refused"


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
        "allow_duplicates": (True, parts_are_checked),
        "anonymous_names": (True, names_are_compared),
    },
}
ELSEWHERE = {"root"}  # where the data lie, not what they are


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
    assert images.pixels.shape == (12, 3, size, size) and images.pixels.dtype == torch.uint8
    assert images.labels.dtype == torch.int64 and images.labels.bincount().tolist() == [4, 4, 4]
    assert images.classes == 3 == len(set(images.names))
    assert len(set(images.files)) == len(images) == 12
    assert images.reserved is None or images.reserved.shape == (12,)


def test_loading_twice_gives_the_same(data: Dataset) -> None:
    one, two = data.load(32), dataclasses.replace(data).load(32)  # type: ignore[type-var]
    assert torch.equal(one.pixels, two.pixels) and one.files == two.files


def test_pictures_differ(data: Dataset) -> None:
    pictures = data.load(32).pixels.flatten(1)
    assert len(pictures.unique(dim=0)) == len(pictures)


def test_selecting_keeps_the_meaning_of_labels(data: Dataset) -> None:
    images = data.load(32)
    part = images.select(images.labels == 1)
    assert part.names == images.names and set(part.labels.tolist()) == {1}
    assert part.files == images.files[4:8] and torch.equal(part.pixels, images.pixels[4:8])


def test_every_knob_shows_in_what_is_done(data: Dataset) -> None:
    for field in dataclasses.fields(data):
        if field.name in ELSEWHERE:
            continue
        value = getattr(data, field.name)
        plain = (
            value + 1 if isinstance(value, int) else value,
            lambda data: data.load(32).pixels.float().sum(),
        )
        away, effect = AWAY.get(data.kind, {}).get(field.name, plain)
        assert away != value, f"say in AWAY what {field.name} of {data.kind} may be"
        other = dataclasses.replace(data, **{field.name: away})  # type: ignore[type-var]
        assert effect(other) != effect(data), field.name
        assert with_content(other) != with_content(data), field.name


def test_a_later_knob_enters_no_key_at_its_default(data: Dataset) -> None:
    assert not set(with_content(data)) & set(knobs_marked(data, LATER))
