import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from trainables.storage.content import with_content


@dataclass(frozen=True)
class Data:
    kind: ClassVar[str] = "folder"
    root: str


@dataclass(frozen=True)
class Weights:
    kind: ClassVar[str] = "checkpoint"
    path: str
    data: Data = field(default_factory=lambda: Data("nowhere"))
    scale: float = 1.5


def test_a_file_counts_by_its_bytes_and_not_by_its_place(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pt", tmp_path / "b.pt"
    first.write_bytes(b"weights")
    second.write_bytes(b"weights")
    content = with_content(Weights(str(first)))
    assert content == {
        "kind": "checkpoint",
        "path": hashlib.sha256(b"weights").hexdigest(),
        "data": {"kind": "folder", "root": "nowhere"},
        "scale": 1.5,
    }
    assert with_content(Weights(str(second))) == content
    second.write_bytes(b"others!")
    os.utime(second, ns=(1, 1))
    assert with_content(Weights(str(second))) != content


def test_a_folder_counts_by_names_and_sizes(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.jpg").write_bytes(b"12")
    before = with_content(Data(str(tmp_path)))
    (tmp_path / "x" / "2.jpg").write_bytes(b"12")
    assert with_content(Data(str(tmp_path))) != before
