"""Published data sets in their usual layouts: crop, class order, parts, and what is said of a broken tree."""

import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from published_trees import TREES, classes, picture, ten_classes, write

from trainables.datasets import DATASETS
from trainables.datasets.base import Dataset
from trainables.datasets.overlap import check_disjoint
from trainables.datasets.pictures import read_picture
from trainables.datasets.published import Published, View, shuffled_parts
from trainables.datasets.split import split
from trainables.errors import ConfigError
from trainables.method import FILE


def at(kind: str, root: Path, **knobs: Any) -> Published:
    data = DATASETS[kind](root=str(root), **knobs)  # type: ignore[call-arg]
    assert isinstance(data, Published)
    return data


@pytest.mark.parametrize("nothing", ["", " "])
@pytest.mark.parametrize(
    ("kind", "knob"),
    [(k, f.name) for k in DATASETS for f in fields(DATASETS[k]) if f.metadata.get(FILE)],
)
def test_a_path_of_nothing_is_not_the_current_directory(kind: str, knob: str, nothing: str) -> None:
    with pytest.raises(ConfigError, match=f"{knob} of {kind} must name a folder .*got '{nothing}'"):
        DATASETS[kind](**{"root": "x", knob: nothing})  # type: ignore[call-arg]


# knobs, size of the published setting, picture of the tree, the square of it (left, top, right, bottom)
CROPS: list[tuple[str, dict[str, Any], int, tuple[int, int], tuple[int, int, int, int]]] = [
    ("facescrub", {"protocol": "gmi"}, 64, (64, 64), (5, 5, 59, 59)),
    ("facescrub", {"protocol": "raw"}, 64, (64, 64), (0, 0, 64, 64)),
    ("facescrub", {}, 224, (64, 64), (0, 0, 64, 64)),
    ("ffhq", {}, 64, (128, 128), (20, 20, 108, 108)),
    ("ffhq", {"protocol": "ppa"}, 224, (256, 256), (28, 28, 228, 228)),
    ("vggface2", {}, 224, (100, 128), (6, 20, 94, 108)),
    ("pubfig83", {}, 64, (100, 100), (16, 16, 83, 83)),
    ("ms_celeb", {}, 112, (112, 112), (0, 0, 112, 112)),
    ("lfw", {}, 64, (250, 250), (0, 0, 250, 250)),
    ("imagenet", {}, 224, (300, 256), (38, 16, 262, 240)),
    ("stanford_dogs", {}, 224, (120, 90), (10, 5, 90, 65)),
    ("stanford_cars", {}, 224, (120, 80), (0, 0, 120, 80)),
    ("afhq", {"animal": "cat"}, 224, (64, 64), (0, 0, 64, 64)),
]


@pytest.mark.parametrize(("kind", "knobs", "size", "shape", "box"), CROPS, ids=lambda value: str(value))
def test_the_published_crop_and_size(
    kind: str,
    knobs: dict[str, Any],
    size: int,
    shape: tuple[int, int],
    box: tuple[int, int, int, int],
    tmp_path: Path,
) -> None:
    data = at(kind, TREES[kind](tmp_path), **knobs)
    images = data.load(size)
    assert data.usage.image_size == size
    left, top, right, bottom = box
    with Image.open(images.files[0]) as whole:
        assert whole.size == shape
        cut = Image.fromarray(np.asarray(whole.convert("RGB"))[top:bottom, left:right])
    expected = cut if cut.size == (size, size) else cut.resize((size, size), Image.Resampling.BILINEAR)
    assert np.array_equal(images.pixels[0].permute(1, 2, 0).numpy(), np.asarray(expected))
    if kind != "stanford_dogs":  # there a box says where the dog is
        assert torch.equal(read_picture(images.files[0], size, **data.view), images.pixels[0])


def test_a_crop_keeps_its_share_of_a_picture_of_another_size() -> None:
    def side(view: View, size: tuple[int, int]) -> tuple[int, int]:
        cut = view.cut(picture(0, size))
        assert cut is not None
        return cut.size

    assert side(View(176, 256), (256, 256)) == (176, 176) == side(View(88, 128), (256, 300))
    assert View().cut(picture(0, (9, 9)), (9, 0, 12, 4)) is None


def test_the_shuffle_is_that_of_numpys_global_generator() -> None:
    np.random.seed(42)
    order = list(range(37))
    np.random.shuffle(order)
    assert [n for n, part in enumerate(shuffled_parts(37)) if part == "train"] == sorted(order[:33])


ORDERS = {
    "facescrub": ("Bob Low", "Carl Mid", "Ann High"),  # actors before actresses
    "stanford_dogs": ("Chihuahua", "Affenpinscher", "Briard"),  # by WordNet number
    "stanford_cars": ("Volvo 240", "AM General Hummer", "Fiat 500"),  # by cars_meta.mat
    "vggface2": ("n000002", "n000003", "n000004"),
    "pubfig83": ("Ann High", "Bob Low", "Carl Mid"),
    "ms_celeb": ("m.01_a", "m.01_b", "m.02"),
    "lfw": ("Ann High", "Bob Low", "Carl Mid"),
    "imagenet": ("n01440764", "n01443537", "n01484850"),
    "ffhq": ("all",),
    "afhq": ("dog",),
    "mnist": ("0", "1", "2", "3", "4"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer"),
    "fashion_mnist": ("T-shirt", "Trouser", "Pullover", "Dress", "Coat"),
}


@pytest.mark.parametrize("kind", ORDERS)
def test_the_published_class_order(kind: str, tmp_path: Path) -> None:
    data = at(kind, TREES[kind](tmp_path))
    images = data.load(32)
    assert images.names == ORDERS[kind]
    if kind == "stanford_cars":  # rows of the annotations: class 1 + n % 3 of file n
        assert images.labels.tolist() == [n % 3 for n in range(1, 7)] * 2
    elif kind not in ("mnist", "cifar10", "fashion_mnist"):
        for label, file in zip(images.labels.tolist(), images.files, strict=True):
            name = images.names[label]
            assert name == "all" or name.replace(" ", "_") in file or name in file


@pytest.mark.parametrize("kind", ["facescrub", "stanford_dogs"])
def test_ppas_split(kind: str, tmp_path: Path) -> None:
    images = at(kind, TREES[kind](tmp_path)).load(32)
    assert images.reserved is not None
    order = np.arange(12)
    np.random.seed(42)
    np.random.shuffle(order)
    assert images.reserved.nonzero().flatten().tolist() == sorted(order[10:].tolist())
    assert len(split(images).test.labels.unique()) == 2 < images.classes == 3  # somebody is not tested


@pytest.mark.parametrize("kind", ["imagenet", "stanford_cars"])
def test_published_parts_stay(kind: str, tmp_path: Path) -> None:
    images = at(kind, TREES[kind](tmp_path)).load(32)
    assert images.reserved is not None
    assert all(
        test == ("val" in file or "cars_test" in file)
        for test, file in zip(images.reserved.tolist(), images.files, strict=True)
    )
    assert images.reserved.any() and not images.reserved.all()


@pytest.mark.parametrize("kind", ["mnist", "fashion_mnist", "cifar10"])
def test_the_first_five_classes_are_private_and_the_others_public(kind: str, tmp_path: Path) -> None:
    root = TREES[kind](tmp_path)
    private, public = at(kind, root).load(32), at(kind, root, part="public").load(32)
    assert private.labels.tolist() == list(range(5)) * 4 and public.labels.tolist() == list(range(5)) * 4
    assert private.reserved is not None and private.reserved.tolist() == [False] * 10 + [True] * 10
    assert public.reserved is None and not set(private.names) & set(public.names)
    assert len(at(kind, root, part="all").load(32).names) == 10
    check_disjoint(private, public)
    side, channels = (32, 3) if kind == "cifar10" else (28, 1)
    values, labels = ten_classes(side, channels, 1)  # the test part
    shown = values[labels < 5][3]
    expected = Image.fromarray(shown if channels == 3 else shown[:, :, 0]).convert("RGB")
    expected = expected if side == 32 else expected.resize((32, 32), Image.Resampling.BILINEAR)
    assert np.array_equal(private.pixels[13].permute(1, 2, 0).numpy(), np.asarray(expected))


def test_people_of_few_images_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, [*classes("lfw/A_B", images=1), *classes("lfw/C_D", "lfw/E_F", images=4)], (40, 40))
    assert at("lfw", tmp_path).load(32).names == ("A B", "C D", "E F")
    few = at("lfw", tmp_path, least_images=4).load(32)
    assert few.names == ("C D", "E F") and few.labels.tolist() == [0] * 4 + [1] * 4
    with pytest.raises(ConfigError, match=r"a class with 5 images \(least_images\).*4 at most"):
        at("lfw", tmp_path, least_images=5).load(32)
    with pytest.raises(ConfigError, match="least_images of lfw must be at least 1"):
        at("lfw", tmp_path, least_images=0)


def test_one_person_has_one_name_in_all_data_sets(tmp_path: Path) -> None:
    private = at("facescrub", TREES["facescrub"](tmp_path / "a")).load(32)
    public = at("pubfig83", TREES["pubfig83"](tmp_path / "b")).load(32)
    with pytest.raises(ConfigError, match=r"identities.*3 shared"):
        check_disjoint(private, public)


def test_a_flat_facescrub_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    write(tmp_path, classes("Bob_Low", "Ann_High"), (64, 64))
    assert at("facescrub", tmp_path).load(32).names == ("Ann High", "Bob Low")


def test_limits(tmp_path: Path) -> None:
    root = TREES["facescrub"](tmp_path / "a")
    every, some = at("facescrub", root).load(32), at("facescrub", root, limit=2).load(32)
    assert some.names == every.names[:2] and some.reserved is not None and every.reserved is not None
    assert torch.equal(some.reserved, every.reserved[:8])  # who is tested does not depend on it
    assert len(at("ffhq", TREES["ffhq"](tmp_path / "b"), limit=5).load(32)) == 5


def drop(path: str) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        place = root / path
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    return act


def rename(old: str, new: str) -> Callable[[Path], None]:
    return lambda root: (root / old).rename(root / new) and None


def overwrite(path: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / path).write_bytes(content) and None


BROKEN: list[tuple[str, Callable[[Path], None], str]] = [
    ("facescrub", rename("actors/faces", "actors/photos"), r"images in 'actors/faces' .*got none"),
    ("facescrub", drop("actresses"), r"images in 'actresses/faces' .*got none.*winklerbros"),
    ("ffhq", drop("thumbnails128x128"), r"expects thumbnails128x128 .*got images1024x1024.*ffhq-dataset"),
    ("ffhq", overwrite("thumbnails128x128/00000/0002.png", b""), r"1 bad of 12.*0002.png \(empty\)"),
    ("vggface2", drop("train"), r"expects train .*got test"),
    ("vggface2", drop("train/n000003/0001.jpg"), ""),
    ("pubfig83", overwrite("pubfig83/Bob Low/0001.jpg", b"no"), r"1 bad of 12.*Bob Low.0001.jpg"),
    ("ms_celeb", lambda root: (root / "m.03").mkdir(), r"1 without any, such as 'm.03'"),
    ("lfw", rename("lfw_funneled", "faces"), r"expects lfw_funneled or .*got faces.*lfw-funneled.tgz"),
    ("imagenet", rename("val/n01443537", "val/n09"), r"1 that are in no training part, such as 'n09'"),
    ("imagenet", drop("train"), r"expects train .*got val"),
    ("stanford_dogs", drop("Annotation/n02085620-Chihuahua/0002"), r"the file Annotation/n02085620-.*/0002"),
    (
        "stanford_dogs",
        overwrite("Annotation/n02085620-Chihuahua/0002", b"<annotation/>"),
        r"a box \(xmin, ymin, xmax, ymax\) in Annotation/n02085620-Chihuahua/0002",
    ),
    ("stanford_dogs", rename("Images", "Pictures"), r"expects Images .*got Annotation, Pictures"),
    ("stanford_cars", drop("stanford_cars/devkit/cars_meta.mat"), r"stanford_cars/devkit/cars_meta.mat"),
    ("stanford_cars", drop("stanford_cars/cars_test/00003.jpg"), r"1 of 12 missing, such as .*00003.jpg"),
    ("stanford_cars", overwrite("stanford_cars/devkit/cars_train_annos.mat", b"x"), r"cars_train that scipy"),
    ("afhq", lambda root: drop("train/dog")(root) or drop("test/dog")(root), r"images in train/dog"),
    ("mnist", drop("MNIST/raw/t10k-labels-idx1-ubyte"), r"t10k-labels-idx1-ubyte.*1 of 4 missing"),
    (
        "mnist",
        overwrite("MNIST/raw/train-images-idx3-ubyte", b"\0\0\x08\x03"),
        r"train part that torchvision",
    ),
    ("fashion_mnist", rename("FashionMNIST", "MNIST"), r"expects FashionMNIST/raw .*got MNIST"),
    ("cifar10", drop("cifar-10-batches-bin/data_batch_4.bin"), r"cifar-10-batches-bin/data_batch_4.bin"),
    ("cifar10", overwrite("cifar-10-batches-bin/test_batch.bin", b"12"), r"records of 3073 bytes .*2 bytes"),
    ("cifar10", overwrite("cifar-10-batches-bin/test_batch.bin", b"\x0b" * 3073), r"labels 0 to 9 .*got 11"),
    ("cifar10", rename("cifar-10-batches-bin", "cifar-10-batches-py"), r"by their MD5 sums"),
]


@pytest.mark.parametrize(
    ("kind", "breaks", "message"),
    BROKEN,
    ids=[f"{kind}-{number}" for number, (kind, *_) in enumerate(BROKEN)],
)
def test_a_broken_tree_is_named(
    kind: str, breaks: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    root = TREES[kind](tmp_path)
    at(kind, root).load(32)
    breaks(root)
    if not message:  # what no annotation speaks of is simply not there; `sweeper prepare` counts
        assert len(at(kind, root).load(32)) == 11
        return
    with pytest.raises(ConfigError, match=message) as error:
        at(kind, root).load(32)
    assert str(error.value).startswith(f"{kind} expects ")


@pytest.mark.parametrize("kind", TREES)
def test_a_root_that_is_not_there(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{kind} expects a folder .*nothing at .*usual layout is"):
        at(kind, tmp_path / "nowhere").load(32)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=rf"{kind} expects .* below .*(empty folder|none|nothing)"):
        at(kind, tmp_path / "empty").load(32)


@pytest.mark.parametrize("kind", TREES)
def test_contents_follow_what_is_used(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.datasets.celeba.PEOPLE", 3)
    data: Dataset = at(kind, TREES[kind](tmp_path / "a"))
    contents = data.contents()
    images = data.load(32)
    assert contents is not None and (contents.people, contents.images) == (images.classes, len(images))
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "wrapped")
    (tmp_path / "b" / "wrapped" / "README.txt").write_text("notes")
    assert at(kind, tmp_path / "b" / "wrapped").contents() == contents
    if kind not in ("mnist", "fashion_mnist", "cifar10"):
        picture(99, (60, 60)).save(images.files[0])
        assert data.contents() != contents


def test_the_published_pickles_of_cifar_are_read_by_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib
    import pickle

    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    values, labels = ten_classes(32, 3, 0)
    planes = values.transpose(0, 3, 1, 2).reshape(20, -1)
    written = {name: {"data": planes, "labels": labels.tolist()} for name in ("data_batch_1", "test_batch")}
    written["batches.meta"] = {"label_names": list("abcdefghij")}
    for name, content in written.items():
        (folder / name).write_bytes(pickle.dumps(content))

    def sums(*names: str) -> list[list[str]]:
        return [[name, hashlib.md5((folder / name).read_bytes()).hexdigest()] for name in names]

    monkeypatch.setattr(CIFAR10, "train_list", sums("data_batch_1"))
    monkeypatch.setattr(CIFAR10, "test_list", sums("test_batch"))
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums("batches.meta")[0][1]})
    images = at("cifar10", tmp_path, part="all").load(32)
    assert images.labels.tolist() == labels.tolist() * 2 and images.names[0] == "airplane"
    assert np.array_equal(images.pixels[7].permute(1, 2, 0).numpy(), values[7])
