"""Names in zips, as different programs write them, against the folder that was packed."""

import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.datasets.image_folder import ImageFolder
from trainables.datasets.split import split
from trainables.datasets.zip_names import path_of
from trainables.storage.digests import remembered

PEOPLE = ("Anna", "José", "Zoë Ünal", "Łukasz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of people with five images each, of random pixels."""
    dice = np.random.default_rng(0)
    for name in PEOPLE:
        (tmp_path / "people" / name).mkdir(parents=True)
        for number in range(5):
            pixels = dice.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "people" / name / f"{number}.png")
    return tmp_path / "people"


class Entry(zipfile.ZipInfo):
    """An entry whose name is written in these bytes, without the flag that says UTF-8."""

    raw: bytes

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.raw, self.flag_bits & ~0x800


def entry_of(raw: bytes, text: str | None = None, checksum: int | None = None) -> Entry:
    """Return an entry of a name in bytes; text: of Info-ZIP's field behind one of another kind."""
    entry = Entry(raw.decode("latin-1"))
    entry.raw = raw
    if text is not None:
        name = struct.pack("<BI", 1, zlib.crc32(raw) if checksum is None else checksum) + text.encode()
        entry.extra = struct.pack("<HHB", 0x5455, 1, 0) + struct.pack("<HH", 0x7075, len(name)) + name
    return entry


def packed(folder: Path, target: Path, encoding: str, field: bool) -> Path:
    """Return a zip of the folder whose names are in `encoding`, with or without a field that has UTF-8."""
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            name = file.relative_to(folder).as_posix()
            entry = entry_of(name.encode(encoding), name if field else None)
            archive.writestr(entry, file.read_bytes())
    return target


def by_python(folder: Path, target: Path) -> Path:
    return Path(shutil.make_archive(str(target.with_suffix("")), "zip", folder))


def by_info_zip(folder: Path, target: Path) -> Path:
    if shutil.which("zip") is None:
        pytest.skip("the program zip is not here")
    subprocess.run(["zip", "-qr", str(target), "."], cwd=folder, check=True)
    return target


PROGRAMS = {
    "python": by_python,
    "zip": by_info_zip,
    "macos": lambda folder, target: packed(folder, target, "utf-8", False),
    "with field": lambda folder, target: packed(folder, target, "utf-8", True),
    "windows with field": lambda folder, target: packed(folder, target, "cp852", True),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_zip_has_the_names_fingerprint_and_split_of_its_folder(folder: Path, program: str) -> None:
    zipped = PROGRAMS[program](folder, folder.with_suffix(".zip"))
    one, other = (ImageFolder(root=str(place)) for place in (folder, zipped))
    first, second = one.load(8), other.load(8)
    assert first.names == second.names == PEOPLE
    assert one.contents() == other.contents()
    for mine, theirs in zip(vars(split(first)).values(), vars(split(second)).values(), strict=True):
        assert [Path(file).name for file in mine.files] == [Path(file).name for file in theirs.files]
        assert mine.pixels.equal(theirs.pixels)


def written(tmp_path: Path, entry: zipfile.ZipInfo) -> str:
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr(entry, b"")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        return path_of(archive.infolist()[0])


def test_what_no_program_says_is_code_page_437(tmp_path: Path) -> None:
    assert written(tmp_path, entry_of("José/1.png".encode("cp437"))) == "José/1.png"
    assert written(tmp_path, entry_of("José\\1.png".encode())) == "José/1.png"
    assert written(tmp_path, zipfile.ZipInfo("José/├⌐.png")) == "José/├⌐.png"  # said to be UTF-8


def test_a_field_of_another_name_says_nothing(tmp_path: Path) -> None:
    """A program that knew no such field renamed the entry."""
    assert written(tmp_path, entry_of(b"a/1.png", "b/1.png", checksum=7)) == "a/1.png"
    broken = entry_of(b"a/1.png")
    broken.extra = struct.pack("<HH", 0x7075, 2) + b"\1\0"
    assert written(tmp_path, broken) == "a/1.png"


def test_what_was_remembered_of_other_names_counts_no_more(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, a zip's fingerprint was of other names, and stayed as long as the file did."""
    zipped = packed(folder, folder.with_suffix(".zip"), "utf-8", False)
    memory = tmp_path / "memory"
    monkeypatch.setattr("trainables.storage.digests.FRESH_NS", -(10**18))
    assert remembered(zipped, memory, lambda: "old") == remembered(zipped, memory, lambda: "new") == "old"
    fingerprint = ImageFolder(root=str(zipped)).contents(memory).fingerprint
    assert fingerprint == ImageFolder(root=str(folder)).contents(memory).fingerprint
    monkeypatch.setattr("trainables.datasets.image_folder.zipfile.ZipFile.read", None)  # nor is it read again
    assert ImageFolder(root=str(zipped)).contents(memory).fingerprint == fingerprint
