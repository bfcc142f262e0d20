"""A full disk is one kind of error whichever library met it, and so is a damaged file."""

import ast
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import sweeper
import trainables
from trainables.errors import ConfigError, DiskError
from trainables.runtime.background import cause_of
from trainables.storage.disk import disk_errors, load, remove, save, sync, write_text

SIZES = (1, 300_000)  # floats: what a buffer takes, and what fails while it is written
FULL = Path("/dev/full")  # a disk without room; where there is none these tests have nothing to write to
needs_full = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


@needs_full
@pytest.mark.parametrize("size", SIZES)
def test_tensors_that_do_not_fit_are_an_error_of_the_disk(size: int) -> None:
    with pytest.raises(OSError, match="No space left") as raised:
        save({"weights": torch.zeros(size)}, FULL)
    assert raised.value.errno == errno.ENOSPC and cause_of(raised.value) == "disk"


def test_what_cannot_be_saved_at_all_is_no_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="pickle") as raised:
        save({"weights": lambda: None}, tmp_path / "weights.pt")
    assert not isinstance(raised.value, OSError)


def test_saved_tensors_come_back(tmp_path: Path) -> None:
    save({"weights": torch.arange(5.0), "epoch": 3}, tmp_path / "weights.pt")
    found = load(tmp_path / "weights.pt")
    assert found["epoch"] == 3 and torch.equal(found["weights"], torch.arange(5.0))


def test_an_error_of_the_disk_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(DiskError) as raised, disk_errors(tmp_path), disk_errors(tmp_path / "inner"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(raised.value).count("expected to write") == 1


def test_nothing_writes_tensors_another_way() -> None:
    """Left to themselves torch and safetensors say of a full disk what a defect says."""
    modules = [
        path for package in (sweeper, trainables) for path in Path(package.__file__).parent.rglob("*.py")
    ]
    calls = {
        (path.name, ast.unparse(node.func))
        for path in modules
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert {(name, call) for name, call in calls if call in ("torch.save", "save_file")} == {
        ("disk.py", "torch.save")
    }


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "zeros": lambda whole: bytes(len(whole)),
    "half": lambda whole: whole[: len(whole) // 2],
    "all but the last byte": lambda whole: whole[:-1],
    "half, then zeros": lambda whole: whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2),
    "zeros first": lambda whole: bytes(100) + whole[100:],
    "text": lambda whole: b"hello",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_what_to_do(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "weights.pt"
    save({"weights": torch.arange(5000.0)}, file)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    with pytest.raises(
        ConfigError, match=f"{file}.* delete the folder {tmp_path}: it is made again"
    ) as raised:
        load(file)
    assert cause_of(raised.value) == "config"


def test_a_missing_file_is_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path / 'weights.pt'}"):
        load(tmp_path / "weights.pt")


def test_what_is_whole_and_still_not_read_stays_the_error_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory")

    save({}, tmp_path / "weights.pt")
    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(RuntimeError, match="not enough memory"):
        load(tmp_path / "weights.pt")


def test_whatever_lies_there_is_removed(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    (tmp_path / "other").mkdir()
    for name in ("folder", "file", "link", "nothing"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_files_and_folders_are_brought_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").touch()
    seen: list[tuple[int, int]] = []

    def note(number: int) -> None:
        seen.append((os.fstat(number).st_dev, os.fstat(number).st_ino))
        raise OSError(errno.EINVAL, "this file system does not know it")

    monkeypatch.setattr(os, "fsync", note)
    sync(tmp_path)
    places = (tmp_path, tmp_path / "inner", tmp_path / "inner" / "file")
    assert set(seen) == {(place.stat().st_dev, place.stat().st_ino) for place in places}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_is_full_at_the_end_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=os.strerror(number)):
        sync(tmp_path)


def test_text_is_whole_and_on_the_disk_or_what_was_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "note.json"
    write_text(file, "é")
    assert file.read_bytes() == "é".encode()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(file, "later")
    assert file.read_bytes() == "é".encode() and list(tmp_path.iterdir()) == [file]
