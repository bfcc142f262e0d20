"""Small trees in the layouts of published data sets, every picture another; mostly three classes of four."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Size = tuple[int, int]


def picture(number: int, size: Size) -> Image.Image:
    """Return noise of `size` (width, height), drawn with this seed."""
    values = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def write(root: Path, paths: Sequence[str], size: Size, first: int = 0) -> Path:
    """Write a picture under each path; number n of all is drawn with seed n."""
    for number, path in enumerate(paths, first):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        picture(number, size).save(root / path)
    return root


def classes(*folders: str, suffix: str = "jpg", images: int = 4) -> list[str]:
    """Return the paths of so many images in each folder."""
    return [f"{folder}/{number:04d}.{suffix}" for folder in folders for number in range(images)]


def celeba(root: Path, counts: tuple[int, ...] = (4, 4, 4, 2)) -> Path:
    """Write aligned pictures of so many images of each person, their files dealt out in turn."""
    turns = [person for turn in range(max(counts)) for person, count in enumerate(counts, 1) if turn < count]
    write(root, [f"img_align_celeba/{n:06d}.jpg" for n in range(1, len(turns) + 1)], (178, 218))
    lines = [f"{n:06d}.jpg {person * 7}" for n, person in enumerate(turns, 1)]
    (root / "identity_CelebA.txt").write_text("\n".join(lines) + "\n")
    return root


def facescrub(root: Path) -> Path:
    """Write two actors and an actress who comes before them by name, with one whole photograph of each."""
    write(
        root, classes("actors/faces/Bob_Low", "actors/faces/Carl_Mid", "actresses/faces/Ann_High"), (64, 64)
    )
    return write(root, classes("actors/images/Bob_Low", "actresses/images/Ann_High", images=1), (90, 60), 50)


def ffhq(root: Path) -> Path:
    """Write eight thumbnails and four large images, in folders of thousands."""
    write(
        root,
        classes("thumbnails128x128/00000", "thumbnails128x128/01000", suffix="png", images=6),
        (128, 128),
    )
    return write(root, classes("images1024x1024/00000", suffix="png", images=2), (256, 256), 20)


def vggface2(root: Path) -> Path:
    """Write three people to train on and one more."""
    write(root, classes("train/n000002", "train/n000003", "train/n000004"), (100, 128))
    return write(root, classes("test/n000001", images=3), (100, 128), 20)


def pubfig83(root: Path) -> Path:
    """Write three public figures."""
    return write(root, classes("pubfig83/Ann High", "pubfig83/Bob Low", "pubfig83/Carl Mid"), (100, 100))


def ms_celeb(root: Path) -> Path:
    """Write three people's crops."""
    return write(root, classes("m.01_a", "m.01_b", "m.02"), (112, 112))


def lfw(root: Path) -> Path:
    """Write three people, funneled."""
    return write(
        root, classes(*(f"lfw_funneled/{n}" for n in ("Ann_High", "Bob_Low", "Carl_Mid"))), (250, 250)
    )


def imagenet(root: Path) -> Path:
    """Write three classes, three images to train on and one to validate."""
    names = ("n01440764", "n01443537", "n01484850")
    write(root, classes(*(f"train/{n}" for n in names), suffix="JPEG", images=3), (300, 256))
    return write(root, [f"val/{n}/9.JPEG" for n in names], (300, 256), 20)


def stanford_dogs(root: Path) -> Path:
    """Write three breeds, whose order by number is not that of their names, each with a box."""
    names = ("n02085620-Chihuahua", "n02085782-Affenpinscher", "n02085936-Briard")
    paths = classes(*(f"Images/{name}" for name in names))
    write(root, paths, (120, 90))
    for number, path in enumerate(paths):
        place = root / "Annotation" / Path(path).parent.name / Path(path).stem
        place.parent.mkdir(parents=True, exist_ok=True)
        sides = {"xmin": 10 + number, "ymin": 5, "xmax": 90, "ymax": 65 + number}
        box = "".join(f"<{side}>{value}</{side}>\n" for side, value in sides.items())
        other = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>"
        place.write_text(f"<annotation><object><bndbox>\n{box}</bndbox></object>{other}</annotation>\n")
    return root


def stanford_cars(root: Path) -> Path:
    """Write three models, two images of each to train on and two to test."""
    from scipy.io import savemat

    home = root / "stanford_cars"
    (home / "devkit").mkdir(parents=True)
    names = np.array(["Volvo 240", "AM General Hummer", "Fiat 500"], dtype=object)
    savemat(home / "devkit" / "cars_meta.mat", {"class_names": names})
    parts = (("cars_train", "devkit/cars_train_annos.mat"), ("cars_test", "cars_test_annos_withlabels.mat"))
    for first, (folder, file) in zip((0, 6), parts, strict=True):
        write(home, [f"{folder}/{n:05d}.jpg" for n in range(1, 7)], (120, 80), first)
        rows = [(f"{n:05d}.jpg", 1 + n % 3) for n in range(1, 7)]
        savemat(home / file, {"annotations": np.array(rows, dtype=[("fname", object), ("class", object)])})
    return root


def afhq(root: Path) -> Path:
    """Write three images of each animal to train on and one to test."""
    names = ("cat", "dog", "wild")
    write(root, classes(*(f"train/{n}" for n in names), suffix="png", images=3), (64, 64))
    return write(root, [f"test/{n}/9.png" for n in names], (64, 64), 20)


def ten_classes(side: int, channels: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two images of each of ten classes, uint8 (20, side, side, channels), and their labels."""
    values = np.random.default_rng(first).integers(0, 256, (20, side, side, channels), dtype=np.uint8)
    return values, np.arange(20, dtype=np.uint8) % 10


def idx(root: Path, name: str = "MNIST") -> Path:
    """Write two images of each class into both parts, in the files of MNIST."""
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for number, part in enumerate(("train", "t10k")):
        values, labels = ten_classes(28, 1, number)
        sides = b"".join(side.to_bytes(4, "big") for side in (20, 28, 28))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(bytes((0, 0, 8, 3)) + sides + values.tobytes())
        head = bytes((0, 0, 8, 1)) + (20).to_bytes(4, "big")
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    return root


def fashion_mnist(root: Path) -> Path:
    """Write FashionMNIST's files."""
    return idx(root, "FashionMNIST")


def cifar10(root: Path) -> Path:
    """Write the binary version: two images of each class in two thirds of one batch, none in the others."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    rows = []
    for number in range(2):
        values, labels = ten_classes(32, 3, number)
        planes = values.transpose(0, 3, 1, 2).reshape(20, -1)
        rows.append(np.concatenate((labels[:, None], planes), axis=1))
    for number, some in enumerate(np.array_split(rows[0], 5), 1):
        (folder / f"data_batch_{number}.bin").write_bytes(some.tobytes())
    (folder / "test_batch.bin").write_bytes(rows[1].tobytes())
    return root


TREES: dict[str, Callable[[Path], Path]] = {
    "celeba": celeba,
    "facescrub": facescrub,
    "ffhq": ffhq,
    "vggface2": vggface2,
    "pubfig83": pubfig83,
    "ms_celeb": ms_celeb,
    "lfw": lfw,
    "imagenet": imagenet,
    "stanford_dogs": stanford_dogs,
    "stanford_cars": stanford_cars,
    "afhq": afhq,
    "cifar10": cifar10,
    "mnist": idx,
    "fashion_mnist": fashion_mnist,
}
