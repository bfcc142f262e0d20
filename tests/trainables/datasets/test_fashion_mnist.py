"""FashionMNIST: what torchvision calls each kind of clothes, in which part it is, and how many there are."""

from pathlib import Path

import numpy as np
import pytest
from published_trees import fashion_mnist, idx, ten_classes
from torchvision.datasets import FashionMNIST as Torchvisions

from trainables.datasets.fashion_mnist import FashionMNIST
from trainables.datasets.preparation import prepare
from trainables.errors import ConfigError

KINDS = [kind.split("/")[0] for kind in Torchvisions.classes]  # the first is "T-shirt/top" there


@pytest.mark.parametrize(("part", "kinds"), [("private", KINDS[:5]), ("public", KINDS[5:]), ("all", KINDS)])
def test_each_picture_is_of_the_kind_that_torchvision_says(
    part: str, kinds: list[str], tmp_path: Path
) -> None:
    images = FashionMNIST(root=str(fashion_mnist(tmp_path)), part=part).load(28)  # type: ignore[arg-type]
    assert list(images.names) == kinds
    position = 0
    for file in range(2):  # the training and the test part
        for grey, number in zip(*ten_classes(28, 1, file), strict=True):
            if KINDS[number] in kinds:
                shown = images.pixels[position].permute(1, 2, 0).numpy()
                assert images.names[images.labels[position]] == KINDS[number]
                assert np.array_equal(shown, grey.repeat(3, axis=2))
                position += 1
    assert position == len(images)


def test_digits_in_the_same_folder_are_left_alone(tmp_path: Path) -> None:
    for file in (idx(fashion_mnist(tmp_path)) / "MNIST" / "raw").iterdir():
        file.write_bytes(b"no pictures")
    assert len(FashionMNIST(root=str(tmp_path)).load(28)) == 20


@pytest.mark.parametrize(
    ("part", "published"),
    [
        ("private", "30,000 training, 5,000 test"),
        ("public", "35,000 images"),
        ("all", "60,000 training, 10,000 test"),
    ],
)
def test_six_thousand_and_one_thousand_of_each_kind_are_published(
    part: str, published: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"fashion_mnist expects {published}, as published,"):
        prepare(FashionMNIST(root=str(fashion_mnist(tmp_path)), part=part))  # type: ignore[arg-type]
