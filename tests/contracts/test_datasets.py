"""What every data set must do: three identities of four pictures, by its defaults or by `EXAMPLES`."""

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from pydantic import TypeAdapter

from trainables.datasets import DATASETS
from trainables.datasets.base import Dataset
from trainables.storage.store import content_key


def written(root: Path) -> str:
    """Write three identities of four noisy 40-pixel pictures and return the folder."""
    numbers = np.random.default_rng(0)
    for identity in "abc":
        (root / identity).mkdir()
        for file in range(4):
            noise = numbers.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / identity / f"{file}.png")
    return str(root)


EXAMPLES: dict[str, Callable[[Path], dict[str, object]]] = {
    "synthetic_faces": lambda folder: {"population": "private", "identities": 3, "images_per_identity": 4},
    "image_folder": lambda folder: {"root": written(folder)},
}


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
