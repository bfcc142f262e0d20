"""What data sets find on a disk: counted and fingerprinted by bytes, with nothing decoded."""

import shutil
import zipfile
from pathlib import Path

import pytest
from picture_folders import write_people

from trainables.datasets import DATASETS, image_folder
from trainables.datasets.base import Dataset
from trainables.datasets.image_folder import ImageFolder
from trainables.errors import ConfigError
from trainables.method import FILE, knobs_marked
from trainables.storage import digests

PARTS = ("train/ann", "train/bob", "test/ann", "test/bob")


def contents(root, memory=None):
    return ImageFolder(root=str(root)).contents(memory)


@pytest.fixture
def people(tmp_path):
    return write_people(tmp_path / "people", "ann", "bob", images=3)


def test_people_and_images_are_those_that_are_loaded(people, tmp_path):
    for root in (people, write_people(tmp_path / "parts", *PARTS, images=2)):
        images, there = ImageFolder(root=str(root)).load(32), contents(root)
        assert (there.people, there.images) == (images.classes, len(images))


def test_a_fingerprint_is_the_same_wherever_the_images_lie(people, tmp_path):
    """Moved, touched, copied, zipped, inside another folder, beside notes and what other programs leave."""
    truth = contents(people)
    shutil.copytree(people, tmp_path / "copy" / "wrapped")
    for path in (tmp_path / "copy").rglob("*.png"):
        path.touch()
    (tmp_path / "copy" / "notes.txt").write_text("x")
    (tmp_path / "copy" / "wrapped" / "Thumbs.db").write_text("x")
    for wrap in ("", "people/"):
        with zipfile.ZipFile(tmp_path / f"zip{bool(wrap)}.zip", "w") as archive:
            for path in sorted(people.rglob("*.png"), reverse=True):
                archive.write(path, wrap + str(path.relative_to(people)))
    places = (tmp_path / "copy", tmp_path / "zipFalse.zip", tmp_path / "zipTrue.zip")
    assert [contents(place) for place in places] == [truth] * 3
    memory = tmp_path / "memory"
    assert [contents(place, memory) for place in (*places, *places)] == [truth] * 6
    shutil.move(people, tmp_path / "elsewhere")
    assert contents(tmp_path / "elsewhere", memory) == truth


def added(root: Path) -> None:
    shutil.copy(root / "ann/0.png", root / "ann/9.png")


def removed(root: Path) -> None:
    (root / "ann/0.png").unlink()


def renamed(root: Path) -> None:
    (root / "ann").rename(root / "eve")


def changed(root: Path) -> None:
    content = (root / "ann/0.png").read_bytes()
    (root / "ann/0.png").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def swapped(root: Path) -> None:
    """Bytes and names stay; who shows whom does not."""
    for old, new in (("ann", "x"), ("bob", "ann"), ("x", "bob")):
        (root / old).rename(root / new)


@pytest.mark.parametrize("change", [added, removed, renamed, changed, swapped])
@pytest.mark.parametrize("remember", [True, False])
def test_what_changes_the_images_changes_it(people, tmp_path, change, remember):
    memory = tmp_path / "memory" if remember else None
    before = contents(people, memory)
    change(people)
    assert contents(people, memory).fingerprint != before.fingerprint


def test_images_moved_from_one_part_to_another_change_it(tmp_path):
    root = write_people(tmp_path / "parts", *PARTS, images=2)
    before = contents(root)
    (root / "train/ann/0.png").rename(root / "test/ann/7.png")
    assert contents(root).images == before.images and contents(root).fingerprint != before.fingerprint


@pytest.mark.parametrize("as_zip", [True, False])
def test_bytes_are_read_once_and_nothing_is_decoded(people, tmp_path, monkeypatch, as_zip):
    monkeypatch.setattr(digests, "FRESH_NS", -1)
    monkeypatch.setattr(image_folder, "_decode", lambda *_: pytest.fail("decoded"))
    root = Path(shutil.make_archive(str(tmp_path / "z"), "zip", people)) if as_zip else people
    first = contents(root, tmp_path / "memory")
    monkeypatch.setattr(digests, "_bytes_digest", lambda _: pytest.fail("read again"))
    monkeypatch.setattr(image_folder, "_reader", lambda _: pytest.fail("read again"))
    assert contents(root, tmp_path / "memory") == first


def test_a_folder_that_is_missing_or_empty_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nothing is at"):
        contents(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="found none"):
        contents(tmp_path / "empty")


def test_data_that_are_rendered_have_nothing_on_a_disk():
    assert Dataset().contents() is None
    on_disk = {kind for kind, dataset in DATASETS.items() if knobs_marked(dataset, FILE)}
    assert {kind for kind, data in DATASETS.items() if data.contents is not Dataset.contents} == on_disk


def test_a_zip_whose_directory_or_pictures_are_damaged_is_named(people, tmp_path):
    """Copied in part, or packed with a password: no fingerprint, and no traceback either."""
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        for path in sorted(people.rglob("*.png")):
            archive.write(path, path.relative_to(people))
    whole = (tmp_path / "whole.zip").read_bytes()
    directory = whole.index(b"PK\x01\x02")
    pixels = whole.index(b"IDAT") + 8
    locked = bytearray(whole)
    for place in range(directory, len(whole) - 4):
        if whole[place : place + 4] == b"PK\x01\x02":
            locked[place + 8] |= 1
    damages = {
        "directory": whole[:directory] + b"XX" + whole[directory + 2 :],
        "picture": whole[:pixels] + bytes(4) + whole[pixels + 4 :],
        "lock": bytes(locked),
    }
    for name, content in damages.items():
        root = tmp_path / f"{name}.zip"
        root.write_bytes(content)
        with pytest.raises(ConfigError, match=rf"expects a zip that can be read in .*{name}\.zip"):
            contents(root)
        with pytest.raises(ConfigError, match=rf"{name}\.zip"):
            ImageFolder(root=str(root)).load(32)
