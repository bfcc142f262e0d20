"""Private and public data that share files, pictures or people are refused; others pass."""

import dataclasses
import time

import pytest
import torch

from trainables.datasets.base import Images
from trainables.datasets.overlap import check_disjoint, check_parts, check_pretraining
from trainables.datasets.split import Split
from trainables.errors import ConfigError


def images(start: int, names: tuple[str, ...], prefix: str) -> Images:
    """Return two distinct one-colour images per name; colours count up from `start`."""
    count = 2 * len(names)
    colours = torch.arange(start, start + count, dtype=torch.uint8).view(-1, 1, 1, 1)
    return Images(
        pixels=colours.expand(-1, 3, 4, 4),
        labels=torch.arange(len(names)).repeat_interleave(2),
        names=names,
        files=tuple(f"{prefix}/{i}.jpg" for i in range(count)),
    )


def test_disjoint_data_pass() -> None:
    check_disjoint(images(0, ("a", "b"), "private"), images(50, ("c", "d"), "public"))
    check_disjoint(images(0, ("a", "b"), "private"), images(50, ("all",), "public"))


def test_names_count_only_where_both_sides_tell_people_apart() -> None:
    check_disjoint(images(0, ("all", "b"), "private"), images(50, ("all", "d"), "public"))
    check_disjoint(images(0, ("a",), "private"), images(50, ("a", "d"), "public"))
    with pytest.raises(ConfigError, match=r"no identities; got 2 shared of 3 private \(b, c\)"):
        check_disjoint(images(0, ("a", "b", "c"), "private"), images(50, ("b", "c"), "public"))


def test_equal_pictures_under_other_names() -> None:
    with pytest.raises(ConfigError, match=r"no identical images; got 2 shared.*private/2.jpg = public/0.jpg"):
        check_disjoint(images(0, ("a", "b"), "private"), images(2, ("c", "d"), "public"))


def test_equal_files() -> None:
    with pytest.raises(ConfigError, match=r"no files; got 4 shared of 4 private \(faces/0.jpg, .*, …\)"):
        check_disjoint(images(0, ("a", "b"), "faces"), images(50, ("c", "d"), "faces"))


def test_equal_bytes_count_though_the_pixels_were_cut_otherwise() -> None:
    private, public = images(0, ("a", "b"), "private"), images(50, ("c", "d"), "public")
    private = dataclasses.replace(private, digests=(b"1", b"2", b"3", b"4"))
    check_disjoint(private, dataclasses.replace(public, digests=(b"5", b"6", b"7", b"8")))
    with pytest.raises(ConfigError, match=r"got 1 shared of 4 private \(private/2.jpg = public/1.jpg\)"):
        check_disjoint(private, dataclasses.replace(public, digests=(b"5", b"3", b"7", b"8")))


@pytest.mark.parametrize("names", [("1", "2"), ("0001", "0002"), ("id_7", "id_8"), ("person 1", "person 2")])
def test_numbers_on_both_sides_are_said_and_may_be_left_uncompared(names: tuple[str, ...]) -> None:
    private, public = images(0, names, "private"), images(50, names, "public")
    with pytest.raises(
        ConfigError, match=r"names are numbers.*if they are others, set anonymous_names: true"
    ):
        check_disjoint(private, public)
    check_disjoint(private, public, names=False)
    with pytest.raises(ConfigError, match="no identical images"):
        check_disjoint(private, images(0, names, "public"), names=False)


def test_people_with_names_are_not_called_numbers() -> None:
    private, public = images(0, ("ada", "bob"), "private"), images(50, ("bob", "eve"), "public")
    with pytest.raises(ConfigError, match=r"\(bob\).*remove them from the public data") as error:
        check_disjoint(private, public)
    assert "numbers" not in str(error.value)


@pytest.mark.parametrize(
    ("mine", "theirs"), [("Jos\u00e9", "Jose\u0301"), ("Ada", "ada"), ("STRASSE", "straße")]
)
def test_one_name_in_other_bytes_or_case_is_one_person(mine: str, theirs: str) -> None:
    with pytest.raises(ConfigError, match="no identities; got 1 shared"):
        check_disjoint(images(0, (mine, "x"), "private"), images(50, (theirs, "y"), "public"))


def parts(train: int, validation: int, test: int) -> Split:
    """Return parts of two people, a and b, whose colours start at the numbers given."""
    return Split(
        train=images(train, ("a", "b"), "train"),
        validation=images(validation, ("a", "b"), "validation"),
        test=images(test, ("a", "b"), "test"),
    )


def test_equal_pictures_in_two_parts() -> None:
    assert check_parts(parts(0, 10, 20), allow=False) == []
    expected = r"2 equal images in two of its parts \(train/2.jpg = test/2.jpg, train/3.jpg = test/3.jpg\)"
    shared = parts(0, 10, 0)
    shared = dataclasses.replace(shared, test=shared.test.select(torch.tensor([2, 3])))
    with pytest.raises(ConfigError, match=expected + r" of 10 .*allow_duplicates"):
        check_parts(shared, allow=False)
    warnings = check_parts(shared, allow=True)
    assert warnings[0] == "private data: 2 equal images in two of its parts"  # no names
    with pytest.raises(ConfigError, match=r"train/0.jpg = validation/0.jpg"):
        check_parts(parts(0, 0, 20), allow=False)


def test_equal_pictures_under_two_people() -> None:
    shifted = parts(0, 10, 2)  # a's test pictures are b's training pictures
    with pytest.raises(ConfigError, match=r"2 equal images under two people \(train/2.jpg = test/0.jpg"):
        check_parts(shifted, allow=False)
    same_part = parts(0, 10, 20)
    same_part.train.pixels.set_(same_part.train.pixels[[0, 1, 0, 3]])  # type: ignore[no-untyped-call]
    with pytest.raises(ConfigError, match=r"1 equal image under two people \(train/0.jpg = train/2.jpg\)"):
        check_parts(same_part, allow=False)


def test_equal_pictures_of_one_person_in_one_part_leak_nothing() -> None:
    same = parts(0, 10, 20)
    same.train.pixels.set_(same.train.pixels[[0, 0, 2, 3]])  # type: ignore[no-untyped-call]
    assert check_parts(same, allow=False) == []


def test_people_without_a_test_image_are_counted() -> None:
    whole = parts(0, 10, 20)
    lacking = dataclasses.replace(whole, test=whole.test.select(whole.test.labels == 1))
    (warning,) = check_parts(lacking, allow=False)
    assert warning.startswith("private data: 1 of 2 people have no test image")  # no name of theirs


def test_very_many_equal_pictures_are_told_apart_in_seconds() -> None:
    """Groups of equal pictures are not compared with each other: twice as many took four times as long."""
    count = 16_000
    pixels = torch.arange(2 * count).view(-1, 1, 1, 1).expand(-1, 3, 1, 1) // torch.tensor([1, 256, 1]).view(
        3, 1, 1
    )
    train = Images(
        pixels=(pixels % 256).to(torch.uint8),
        labels=torch.zeros(2 * count, dtype=torch.int64),
        names=("a", "b"),
        files=tuple(f"train/{i}.jpg" for i in range(2 * count)),
    )
    test = dataclasses.replace(
        train,
        labels=torch.arange(2 * count) // count,
        files=tuple(f"test/{i}.jpg" for i in range(2 * count)),
    )
    none = train.select(torch.tensor([], dtype=torch.int64))
    began = time.process_time()
    assert check_parts(Split(train=train, validation=none, test=test), allow=True) == [
        f"private data: {count} equal images under two people",
        f"private data: {count} equal images in two of its parts",
    ]
    assert time.process_time() - began < 6


def test_pretraining_on_private_pictures() -> None:
    private = images(0, ("a", "b"), "private")
    assert check_pretraining(private, images(50, ("c", "d"), "other"), allow=False) == []
    with pytest.raises(
        ConfigError, match=r"got 2 shared of 4 private \(private/2.jpg = other/0.jpg, .*allow_dup"
    ):
        check_pretraining(private, images(2, ("c", "d"), "other"), allow=False)
    (warning,) = check_pretraining(private, images(2, ("c", "d"), "other"), allow=True)
    assert "2 images are private ones" in warning
    (warning,) = check_pretraining(private, images(50, ("b", "d"), "other"), allow=False)
    assert warning.endswith("1 people have the names of private ones")  # no name of theirs
    numbered = images(50, ("1", "2"), "other")
    assert check_pretraining(images(0, ("1", "2"), "private"), numbered, allow=False) == []
