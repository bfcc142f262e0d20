"""Splits: sizes, disjointness, reserved test images, and identities with too few."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch

from trainables.datasets.base import Images
from trainables.datasets.split import split
from trainables.errors import ConfigError


def images(
    counts: Sequence[int], reserved: Sequence[int] | None = None, names: Sequence[str] = "abcdef"
) -> Images:
    """Return `counts[k]` one-pixel images of identity k, the first `reserved[k]` of them kept for testing."""
    labels = torch.cat([torch.full((count,), k) for k, count in enumerate(counts)])
    held = None
    if reserved is not None:
        held = torch.cat([torch.arange(count) < kept for count, kept in zip(counts, reserved, strict=True)])
    return Images(
        pixels=torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 1, 1),
        labels=labels,
        names=tuple(names[: len(counts)]),
        files=tuple(f"{i}.jpg" for i in range(len(labels))),
        reserved=held,
    )


def test_parts_are_disjoint_complete_and_sized_per_identity() -> None:
    parts = split(images([20, 10, 4]), validation=0.1, test=0.2)
    files = [set(part.files) for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, files)) == 34 == len(set.union(*files))
    assert parts.test.labels.bincount().tolist() == [4, 2, 1]
    assert parts.validation.labels.bincount().tolist() == [2, 1, 1]
    assert parts.train.labels.bincount().tolist() == [14, 7, 2]


def test_label_map_is_kept_in_every_part() -> None:
    whole = images([6, 6])
    for part in vars(split(whole)).values():
        assert part.names == whole.names
        for pixel, label, file in zip(part.pixels[:, 0, 0, 0], part.labels, part.files, strict=True):
            assert file == f"{int(pixel)}.jpg" and whole.labels[int(pixel)] == label


def test_reserved_images_are_the_test_set() -> None:
    whole = images([10, 8], reserved=[3, 1])
    parts = split(whole, validation=0.25, test=0.9 - 0.25)
    assert parts.test.files == ("0.jpg", "1.jpg", "2.jpg", "10.jpg")
    assert parts.validation.labels.bincount().tolist() == [2, 2]
    assert parts.train.labels.bincount().tolist() == [5, 5]


def test_a_reserved_part_may_lack_a_person() -> None:
    """PPA shuffles all images of CelebA: of 1,000 people with 30 each, some 40 have none in the tenth."""
    whole = images([10, 8, 6], reserved=[0, 3, 0])
    parts = split(whole, validation=0.2)
    assert parts.test.labels.tolist() == [1, 1, 1] and parts.test.names == whole.names
    assert parts.validation.labels.bincount().tolist() == [2, 1, 1]
    assert parts.train.labels.bincount().tolist() == [8, 4, 5]


def test_seeded_and_independent_of_the_other_identities() -> None:
    whole = images([12, 12])
    assert split(whole, seed=1).train.files == split(whole, seed=1).train.files
    assert split(whole, seed=1).train.files != split(whole, seed=2).train.files
    alone = split(images([12]), seed=1)
    both = split(whole, seed=1)
    assert alone.test.files == both.test.select(both.test.labels == 0).files


@pytest.mark.parametrize("reserved", [None, [1, 1]])
def test_smallest_identity_that_can_be_split(reserved: list[int] | None) -> None:
    parts = split(images([4, 4], reserved), validation=0.1, test=0.2)
    assert parts.train.labels.bincount().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("counts", "reserved", "shares", "got", "remedy"),
    [
        (
            [8, 3],
            None,
            {},
            "1: 'b' (1 for training, 1 for val",
            "give each at least 4 images, or remove them",
        ),
        ([8, 0], None, {}, "1: 'b' (0 for training", "give each at least 4 images, or remove them"),
        ([3, 8, 3], None, {}, "2: 'a' (1 for training, ", "give each at least 4 images, or remove them"),
        ([9, 5], None, {"test": 0.6}, "1: 'b' (1 for tr", "; lower validation and test, or remove them"),
        (
            [3, 5],
            None,
            {"test": 0.6},
            "2: 'a' (0 for training, 1 for validation, 2 for test), 'b' (1 for training",
            "; give each at least 4 images, lower validation and test, or remove them",
        ),
        (
            [8, 5],
            [2, 4],
            {},
            "1: 'b' (0 for training, 1 for validation, 4 for test)",
            "; give each at least 3 images that are not reserved, or remove them",
        ),
        (
            [12, 6],
            [2, 2],
            {"validation": 0.75},
            "1: 'b' (1 for training, 3 for validation, 2 for test)",
            "; lower validation, or remove them",
        ),
    ],
)
def test_too_few_images(counts, reserved, shares, got, remedy) -> None:
    """All who have too few are named at once, with what helps them: lower shares where those do."""
    with pytest.raises(ConfigError) as raised:
        split(images(counts, reserved), **shares)
    assert f"got too few of {got}" in str(raised.value) and remedy in str(raised.value)
    text = str(raised.value)
    assert ("test; got" in text) == (reserved is None)
    if "lower" in remedy and "give" not in remedy:
        split(images(counts, reserved), validation=0.01, test=0.01)


def test_a_validation_part_of_its_own_is_no_share() -> None:
    """No share helps whom the given validation part lacks."""
    given = dataclasses.replace(images([6, 6], [1, 1]), checked=torch.arange(12) == 2)
    with pytest.raises(
        ConfigError, match=r"'b' \(5 for training, 0 for validation, 1 for test\); put images"
    ):
        split(given)


def test_no_test_image_at_all() -> None:
    with pytest.raises(ConfigError, match="at least 1 test image; got none of 13 images in the test part"):
        split(images([8, 5], [0, 0]))


def test_shares_that_leave_nothing() -> None:
    for validation, test in ((0.0, 0.2), (0.1, 1.0), (0.5, 0.5), (-0.1, 0.2)):
        with pytest.raises(ConfigError, match=f"got validation {validation} and test {test}"):
            split(images([20]), validation=validation, test=test)
