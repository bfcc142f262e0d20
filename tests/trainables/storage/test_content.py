import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from trainables.method import Method, file_knob, later_knob
from trainables.storage.content import with_content
from trainables.storage.store import content_key


@dataclass(frozen=True, kw_only=True)
class Data(Method):
    kind: ClassVar[str] = "folder"
    root: str = file_knob()


@dataclass(frozen=True, kw_only=True)
class Weights(Method):
    kind: ClassVar[str] = "checkpoint"
    weights: str = file_knob()
    data: Data = field(default_factory=lambda: Data(root="nowhere"))
    path: str = "a name, not a file"
    scale: float = 1.5


def test_a_file_counts_by_its_bytes_and_not_by_its_place(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pt", tmp_path / "b.pt"
    first.write_bytes(b"weights")
    second.write_bytes(b"weights")
    content = with_content(Weights(weights=str(first)))
    assert content == {
        "kind": "checkpoint",
        "weights": hashlib.sha256(b"weights").hexdigest(),
        "data": {"kind": "folder", "root": "nowhere"},
        "path": "a name, not a file",
        "scale": 1.5,
    }
    assert with_content(Weights(weights=str(second))) == content
    second.write_bytes(b"others!")
    os.utime(second, ns=(1, 1))
    assert with_content(Weights(weights=str(second))) != content


def test_a_folder_counts_by_names_and_bytes(tmp_path: Path) -> None:
    root, memory = tmp_path / "root", tmp_path / "memory"
    (root / "x").mkdir(parents=True)
    (root / "x" / "1.jpg").write_bytes(b"12")
    first = with_content(Data(root=str(root)), memory)
    (root / "x" / "1.jpg").write_bytes(b"21")  # of the same size
    second = with_content(Data(root=str(root)), memory)
    (root / "x" / "1.jpg").rename(root / "x" / "2.jpg")
    third = with_content(Data(root=str(root)), memory)
    assert len({c["root"] for c in (first, second, third)}) == 3
    assert with_content(Weights(weights="none", data=Data(root=str(root))), memory)["data"] == third


def test_no_path_is_not_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("of no matter")
    assert with_content(Data(root="")) == {"kind": "folder", "root": ""}


@dataclass(frozen=True, kw_only=True)
class First(Method):
    kind: ClassVar[str] = "method"
    rate: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Second(First):
    version: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True)
class Grown(First):
    clip: float | None = later_knob(None)


@dataclass(frozen=True, kw_only=True)
class Owner(Method):
    kind: ClassVar[str] = "owner"
    method: First


def key(method: Method) -> str:
    return content_key(method=with_content(method))


def test_a_raised_version_changes_the_key() -> None:
    assert with_content(First()) == {"kind": "method", "rate": 0.5}  # as it was before there were versions
    assert with_content(Second()) == {"kind": "method", "version": 2, "rate": 0.5}
    assert key(First()) != key(Second())
    assert key(Owner(method=First())) != key(Owner(method=Second()))


def test_a_later_knob_counts_only_away_from_its_default() -> None:
    assert key(Grown()) == key(First())
    assert key(Grown(clip=1.0)) != key(First())
    assert with_content(Grown(clip=1.0)) == {"kind": "method", "rate": 0.5, "clip": 1.0}
