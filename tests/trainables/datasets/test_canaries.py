"""Canaries: rendered people after the real ones, in the same parts, others in every data set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.datasets.base import Images
from trainables.datasets.canaries import add_canaries, canary_labels
from trainables.datasets.image_folder import ImageFolder
from trainables.datasets.overlap import check_disjoint
from trainables.datasets.split import split
from trainables.errors import ConfigError
from trainables.storage.content import with_content


def written(root: Path, people: dict[str, int], seed: int = 0) -> str:
    """Write noisy pictures, so many of each person, and return the folder."""
    numbers = np.random.default_rng(seed)
    for name, count in people.items():
        (root / name).mkdir(parents=True)
        for file in range(count):
            noise = numbers.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / name / f"{file}.png")
    return str(root)


def test_rendered_people_stand_after_those_of_the_folder(tmp_path):
    root = written(tmp_path / "faces", {"ann": 5, "bob": 7, "cat": 6})
    plain, data = ImageFolder(root=root), ImageFolder(root=root, canaries=2)
    own, images = plain.load(32), data.load(32)
    assert len(images) == 18 + 2 * 6  # as many as the median person
    assert torch.equal(images.pixels[:18], own.pixels) and torch.equal(images.labels[:18], own.labels)
    assert images.names[:3] == own.names and images.files[:18] == own.files
    assert images.labels[18:].tolist() == [3] * 6 + [4] * 6
    assert canary_labels(images.names) == [3, 4] and canary_labels(own.names) == []
    assert len(set(images.files)) == len(images)
    assert len(images.pixels.flatten(1).unique(dim=0)) == len(images)
    assert images.digests is None or len(set(images.digests)) == len(images)
    assert data.load(32) is images
    parts = split(images)
    assert all(
        set(part.labels.tolist()) == set(range(5)) for part in (parts.train, parts.validation, parts.test)
    )


@pytest.mark.parametrize(("pictures", "expected"), [(2, 4), (9, 9), (50, 32)])
def test_a_canary_has_as_many_images_as_is_sensible(pictures, expected):
    labels = torch.arange(3).repeat_interleave(pictures)
    images = Images(
        pixels=torch.randint(0, 256, (len(labels), 3, 32, 32), dtype=torch.uint8),
        labels=labels,
        names=("a", "b", "c"),
        files=tuple(map(str, range(len(labels)))),
    )
    assert add_canaries(images, 2).labels.bincount().tolist() == [pictures] * 3 + [expected] * 2


def test_parts_that_the_data_set_gives_hold_for_canaries_too(tmp_path):
    for part, count in (("train", 6), ("val", 2), ("test", 4)):
        written(tmp_path / "faces" / part, {"ann": count, "bob": count}, seed=count)
    images = ImageFolder(root=str(tmp_path / "faces"), canaries=3).load(32)
    assert images.labels.bincount().tolist() == [12] * 5
    for label in range(5):
        own = images.labels == label
        assert (int(images.reserved[own].sum()), int(images.checked[own].sum())) == (4, 2)
        assert not (images.reserved & images.checked).any()
    split(images)


def test_few_images_leave_two_to_train_on(tmp_path):
    for part, count in (("train", 2), ("val", 1), ("test", 3)):
        written(tmp_path / "faces" / part, {"ann": count, "bob": count}, seed=count)
    images = ImageFolder(root=str(tmp_path / "faces"), canaries=1).load(32)
    own = images.labels == 2
    training = own & ~images.reserved & ~images.checked
    assert images.reserved[own].any() and images.checked[own].any() and training.sum() >= 2


def test_private_and_public_canaries_are_other_people(tmp_path):
    sides = [
        ImageFolder(root=written(tmp_path / name, {f"{name}1": 4, f"{name}2": 4}, seed), canaries=2)
        for name, seed in (("mine", 1), ("theirs", 2))
    ]
    check_disjoint(*(side.load(32) for side in sides))  # no file, picture or name in common
    again = [side.load(32).names for side in sides]
    assert again[0][:2] == ("mine1", "mine2") and set(again[0]).isdisjoint(again[1])


def test_canaries_of_people_without_colours_have_none(tmp_path):
    """Else colours alone would tell them apart; the grey is that of the people's own pictures."""
    root = written(tmp_path / "faces", {"ann": 5, "bob": 5})
    grey = ImageFolder(root=root, canaries=2, grey=True)
    images = grey.load(32)
    assert len(images) == 20 and bool((images.pixels == images.pixels[:, :1]).all())
    coloured = add_canaries(ImageFolder(root=root, grey=True).load(32), 2)
    for position in range(10, 20):
        picture = Image.fromarray(coloured.pixels[position].permute(1, 2, 0).numpy()).convert("L")
        assert np.array_equal(images.pixels[position, 0].numpy(), np.asarray(picture))
    versions = [with_content(replace(grey, **knobs)).get("version") for knobs in ({}, {"canaries": 0})]
    assert versions == [2, None]  # pre-training of such images is another


def test_keys_move_only_with_canaries(tmp_path):
    root = written(tmp_path / "faces", {"ann": 4, "bob": 4})
    plain = with_content(ImageFolder(root=root))
    assert with_content(ImageFolder(root=root, canaries=0)) == plain
    assert with_content(ImageFolder(root=root, canaries=1)) == {**plain, "canaries": 1}


def test_a_negative_number_is_refused():
    with pytest.raises(ConfigError, match="canaries of image_folder must be at least 0; got -1"):
        ImageFolder(root="x", canaries=-1)
