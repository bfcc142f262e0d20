"""Pre-training on a data set: which of its images are learnt, which choose the epoch, and under which key."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from trainables.datasets.base import Dataset, Images
from trainables.datasets.image_folder import ImageFolder
from trainables.datasets.imagenet import ImageNet
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.pretraining.dataset import OnDataset
from trainables.runtime.run import Run
from trainables.storage.content import with_content


@dataclass(frozen=True, kw_only=True)
class Parts(Dataset):
    """Twenty images of two people; the first of each four is reserved for testing, or the second checked."""

    kind = "parts"
    summary = "parts"
    source = "this test"
    reserved: bool = False
    checked: bool = False

    def load(self, image_size: int) -> Images:
        number = torch.arange(20)
        return Images(
            pixels=torch.zeros(20, 3, image_size, image_size, dtype=torch.uint8),
            labels=number % 2,
            names=("a", "b"),
            files=tuple(map(str, range(20))),
            reserved=number % 4 == 0 if self.reserved else None,
            checked=number % 4 == 1 if self.checked else None,
        )


def learnt(monkeypatch: pytest.MonkeyPatch, data: Dataset, seed: int = 0) -> tuple[set[int], set[int]]:
    """Return the numbers of the images that are learnt, and of those that choose the epoch."""
    seen: list[set[int]] = []

    def train(*arguments: object, **_: object) -> None:
        images = [part for part in arguments if isinstance(part, Images)]
        seen.extend(set(map(int, part.files)) for part in images)

    monkeypatch.setattr("trainables.pretraining.dataset.train_classifier", train)
    OnDataset(data=data).stages_state("small_cnn", 32, run=Run(seed=seed), normalization="half")
    first, second = seen
    assert not first & second
    return first, second


TESTED, CHECKED = set(range(0, 20, 4)), set(range(1, 20, 4))


def test_without_parts_a_tenth_chooses_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = learnt(monkeypatch, Parts())
    assert train | validation == set(range(20)) and len(validation) == 2


def test_images_reserved_for_testing_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        train, validation = learnt(monkeypatch, Parts(reserved=True), seed)
        assert train | validation == set(range(20)) - TESTED and len(validation) == 2


def test_a_validation_part_chooses_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = learnt(monkeypatch, Parts(reserved=True, checked=True))
    assert validation == CHECKED and train == set(range(20)) - TESTED - CHECKED


def tree(root: Path, *files: str) -> str:
    for value, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (value, 0, 0)).save(root / file)
    return str(root)


def test_only_keys_of_data_sets_with_parts_are_others(tmp_path: Path) -> None:
    """What was stored of the others stays valid; of these it has learnt what it should not."""
    people = ("ann/1.png", "bob/1.png")
    both = tree(tmp_path / "both", *(f"{part}/{file}" for part in ("train", "test") for file in people))
    bare = tree(tmp_path / "bare", *people)
    whole = tree(tmp_path / "net", "train/n01/1.JPEG", "train/n02/1.JPEG", "val/n01/2.JPEG")
    lone = tree(tmp_path / "lone", "train/n01/1.JPEG", "train/n02/1.JPEG")
    nothing = str(tmp_path / "nothing")
    for data, version in (
        (SyntheticFaces(population="private", identities=2, images_per_identity=4), None),
        (ImageFolder(root=bare), None),
        (ImageFolder(root=both), 2),
        (ImageFolder(root=nothing), None),  # whoever reads it says what is missing
        (ImageNet(root=lone), None),
        (ImageNet(root=whole), 2),
        (ImageNet(root=nothing), None),
    ):
        content = with_content(OnDataset(data=data))
        assert content.pop("version", None) == version
        assert content["kind"] == "dataset" and "version" not in content["data"]
