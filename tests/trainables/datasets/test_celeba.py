"""CelebA: who is private, which images are, in which order, and how they are cut."""

import hashlib
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from published_trees import celeba

from trainables.config import load_trial
from trainables.datasets.base import Images
from trainables.datasets.celeba import CelebA
from trainables.datasets.overlap import check_disjoint
from trainables.datasets.published import shuffled_parts
from trainables.datasets.split import split
from trainables.errors import ConfigError
from trainables.stages.data import load_data

COUNTS = (5, 12, 3, 12, 20, 31)  # of the people 7, 14, 21, 28, 35, 42


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return celeba(tmp_path_factory.mktemp("celeba"), COUNTS)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.datasets.celeba.PEOPLE", 4)
    monkeypatch.setattr("trainables.datasets.celeba.PUBLIC", 6)


def identities(root: Path) -> dict[str, int]:
    rows = (line.split() for line in (root / "identity_CelebA.txt").read_text().splitlines())
    return {file: int(person) for file, person in rows}


def test_the_private_people_have_most_images_ties_in_the_order_of_their_first(root: Path) -> None:
    names = [f"CelebA person {number}" for number in (42, 35, 14, 28)]
    for protocol in ("gmi", "vmi", "ppa"):
        assert list(CelebA(root=str(root), protocol=protocol).load(32).names) == names


@pytest.mark.parametrize(
    ("protocol", "size", "crop"), [("gmi", 64, 108), ("vmi", 64, 128), ("ppa", 224, 178)]
)
def test_the_crop_of_each_protocol(root: Path, protocol: str, size: int, crop: int) -> None:
    data = CelebA(root=str(root), protocol=protocol)
    images = data.load(size)
    assert data.usage.image_size == size
    top, left = (218 - crop) // 2, (178 - crop) // 2
    if protocol == "gmi":
        assert (top, left) == (55, 35)
    for row in (0, 17):
        with Image.open(images.files[row]) as whole:
            cut = Image.fromarray(np.asarray(whole.convert("RGB"))[top : top + crop, left : left + crop])
        expected = np.asarray(cut.resize((size, size), Image.Resampling.BILINEAR))
        assert np.array_equal(images.pixels[row].permute(1, 2, 0).numpy(), expected)


def test_a_tenth_rounded_up_is_tested_by_gmi_as_in_its_lists(root: Path) -> None:
    images = CelebA(root=str(root)).load(32)
    assert images.reserved is not None
    trained = images.labels[~images.reserved].bincount().tolist()
    tested = images.labels[images.reserved].bincount().tolist()
    assert (trained, tested) == ([27, 18, 10, 10], [4, 2, 2, 2])
    # the published lists: of 30 and 31 images 27 are trained on, of 34 images 30, of 35 images 31
    assert [n - -(-n // 10) for n in (30, 31, 34, 35)] == [27, 27, 30, 31]
    assert 991 * 30 + 4 * 31 + 2 * 34 + 3 * 35 == 27_018 + 3_009


def test_vmi_trains_on_the_first_25_images(root: Path) -> None:
    images = CelebA(root=str(root), protocol="vmi", limit=1).load(32)
    assert images.reserved is not None and images.reserved.tolist() == [False] * 25 + [True] * 6


def test_ppa_shuffles_all_images_with_seed_42(root: Path) -> None:
    images = CelebA(root=str(root), protocol="ppa").load(32)
    private = {42, 35, 14, 28}
    order = np.array([n for n, person in enumerate(identities(root).values()) if person in private])
    np.random.seed(42)
    np.random.shuffle(order)
    tested = {f"{n + 1:06d}" for n in order[int(0.9 * len(order)) :]}
    assert images.reserved is not None
    own = {Path(f).stem for f, test in zip(images.files, images.reserved.tolist(), strict=True) if test}
    assert own == tested and len(own) == 8


def test_ppas_shuffle_leaves_some_people_untested_and_is_split_all_the_same() -> None:
    """30,027 images of 1,000 people, as published: the tenth lacks about 1,000 * 0.9 ** 30 = 42 of them."""
    dice = np.random.default_rng(0)
    labels = torch.from_numpy(dice.permutation(np.arange(30_027) % 1000))
    tested = torch.tensor([part == "test" for part in shuffled_parts(len(labels))])
    images = Images(
        pixels=torch.zeros(len(labels), 3, 1, 1, dtype=torch.uint8),
        labels=labels,
        names=tuple(f"CelebA person {number}" for number in range(1000)),
        files=tuple(map(str, range(len(labels)))),
        reserved=tested,
    )
    parts = split(images)
    assert len(parts.test) == 3_003 and 20 < 1000 - len(parts.test.labels.unique()) < 70
    for part in (parts.train, parts.validation):
        assert len(part.labels.unique()) == 1000


def test_public_images_show_nobody_private(root: Path) -> None:
    shown = identities(root)
    others = [file for file, person in shown.items() if person in (7, 21)]
    few = sorted(others, key=lambda file: hashlib.sha256(Path(file).stem.encode()).digest())[:6]
    public = CelebA(root=str(root), part="public").load(32)
    assert [Path(file).name for file in public.files] == sorted(few)
    everything = CelebA(root=str(root), part="public", protocol="vmi").load(32)
    assert [Path(file).name for file in everything.files] == others
    check_disjoint(CelebA(root=str(root)).load(32), everything)
    assert public.reserved is None


def write_lists(folder: Path, root: Path, swap: bool = False) -> Path:
    """Write lists of two people in an order of their own, as the published ones spell their files."""
    shown = identities(root)
    own = {person: [Path(f).stem for f, who in shown.items() if who == person] for person in (28, 14, 7)}
    folder.mkdir()
    rows = [(stem, label) for label, person in enumerate((28, 14)) for stem in own[person]]
    if swap:
        rows[0] = (rows[-1][0], 0)
    tested = [row for n, row in enumerate(rows) if n % 6 == 5]
    trained = [row for row in rows if row not in tested]
    for name, part in (("trainset", trained), ("testset", tested)):
        (folder / f"{name}.txt").write_text("".join(f"{stem}.jpj {label}\n" for stem, label in part))
    (folder / "celeba_ganset.txt").write_text("".join(f"{stem}.png\n" for stem in own[7]))
    return folder


def test_lists_that_the_user_has_say_all(root: Path, tmp_path: Path) -> None:
    lists = write_lists(tmp_path / "lists", root)
    images = CelebA(root=str(root), lists=str(lists)).load(32)
    assert images.names == ("CelebA person 28", "CelebA person 14")
    assert images.reserved is not None and images.reserved.sum() == 4
    assert Counter(images.labels.tolist()) == {0: 12, 1: 12}
    public = CelebA(root=str(root), lists=str(lists), part="public").load(32)
    assert public.names == ("CelebA person 7",) and len(public) == 5
    parts = split(images)
    assert len(parts.test) == 4 and len(parts.train) + len(parts.validation) == 20


def test_lists_need_no_identity_file(root: Path, tmp_path: Path) -> None:
    lists = write_lists(tmp_path / "lists", root)
    shutil.copytree(root, tmp_path / "celeba")
    (tmp_path / "celeba" / "identity_CelebA.txt").unlink()
    images = CelebA(root=str(tmp_path / "celeba"), lists=str(lists)).load(32)
    assert images.names == ("CelebA label 0 of the lists", "CelebA label 1 of the lists")
    assert CelebA(root=str(tmp_path / "celeba"), lists=str(lists), part="public").load(32).names == ("all",)


def test_png_files_and_the_folder_above_are_read_too(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "celeba"
    shutil.copytree(root, folder)
    for file in (folder / "img_align_celeba").iterdir():
        with Image.open(file) as shown:
            shown.save(file.with_suffix(".png"))
        file.unlink()
    one, two = CelebA(root=str(root)).load(32), CelebA(root=str(tmp_path / "data")).load(32)
    assert torch.equal(one.pixels, two.pixels) and one.names == two.names


def test_what_is_missing_or_contradicts_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"celeba expects a folder .*nothing at.*img_align_celeba\.zip"):
        CelebA(root=str(tmp_path / "nowhere")).load(32)
    broken = tmp_path / "broken"
    shutil.copytree(root, broken)
    (broken / "img_align_celeba" / "000003.jpg").unlink()
    with pytest.raises(ConfigError, match=r"every image that identity_CelebA.txt names .*1 of .*000003"):
        CelebA(root=str(broken), part="public", protocol="ppa").load(32)
    (broken / "identity_CelebA.txt").write_text("000001.jpg 12\n000002.jpg\n")
    with pytest.raises(ConfigError, match=r"lines like .*'000002.jpg' in line 2"):
        CelebA(root=str(broken)).load(32)
    (broken / "identity_CelebA.txt").unlink()
    with pytest.raises(ConfigError, match=r"the file identity_CelebA.txt .*No such file"):
        CelebA(root=str(broken)).load(32)
    (broken / "img_align_celeba").rename(broken / "pictures")
    with pytest.raises(ConfigError, match=r"expects img_align_celeba .*got pictures"):
        CelebA(root=str(broken)).load(32)
    swapped = write_lists(tmp_path / "swapped", root, swap=True)
    with pytest.raises(ConfigError, match=r"one person under each label .*14 and CelebA person 28 under 0"):
        CelebA(root=str(root), lists=str(swapped)).load(32)
    with pytest.raises(ConfigError, match=r"the list .*trainset.txt.*no such file"):
        CelebA(root=str(root), lists=str(tmp_path)).load(32)
    with pytest.raises(ConfigError, match="lists only of protocol gmi"):
        CelebA(root=str(root), lists=str(tmp_path), protocol="vmi")
    with pytest.raises(ConfigError, match="limit of celeba"):
        CelebA(root=str(root), limit=0)


def test_a_trial_takes_both_parts_and_sees_a_list_that_changed(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "celeba")
    lists = write_lists(tmp_path / "lists", root)
    here = {"kind": "celeba", "root": str(tmp_path / "celeba")}
    document = {
        "image_size": 32,
        "private": here,
        "public": {**here, "part": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn"},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi", "width": 4},
        "attack": {"kind": "gmi"},
        "judge": {"kind": "classifier", "architecture": "small_resnet"},
    }
    data = load_data(load_trial(document))
    assert (len(data.split.test), len(data.public)) == (4 + 2 + 2 + 2, 6)
    file = tmp_path / "celeba" / "identity_CelebA.txt"
    file.write_text(file.read_text().replace(" 42\n", " 420\n"))
    os.utime(file, ns=(1, 1))
    assert load_data(load_trial(document)).split.train.names[0] == "CelebA person 420"
    listed = {key: {**document[key], "lists": str(lists)} for key in ("private", "public")}  # type: ignore[dict-item]
    before = load_data(load_trial({**document, **listed}))
    trained = lists / "trainset.txt"
    trained.write_text("\n".join(trained.read_text().splitlines()[1:]))
    os.utime(trained, ns=(1, 1))
    after = load_data(load_trial({**document, **listed}))
    parts = (before.split, after.split)
    assert [len(part.train) + len(part.validation) for part in parts] == [20, 19]
    assert before.private_key != after.private_key
