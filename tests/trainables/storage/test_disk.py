"""A full disk is one kind of error, whichever library met it."""

import ast
import errno
from pathlib import Path

import pytest
import torch

import sweeper
import trainables
from trainables.errors import DiskError
from trainables.runtime.background import cause_of
from trainables.storage.disk import disk_errors, save

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
    found = torch.load(tmp_path / "weights.pt", weights_only=True)
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
