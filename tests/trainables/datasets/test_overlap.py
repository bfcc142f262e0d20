"""Private and public data that share files, pictures or people are refused; others pass."""

import pytest
import torch

from trainables.datasets.base import Images
from trainables.datasets.overlap import check_disjoint
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
