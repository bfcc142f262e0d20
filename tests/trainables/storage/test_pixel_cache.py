"""Mapped pixels: made once, equal to what memory holds, and no more memory the more there are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from trainables.errors import ConfigError, DiskError
from trainables.storage import pixel_cache
from trainables.storage.cache_folder import PLACE
from trainables.storage.pixel_cache import is_mapped, joined, rows, stored
from trainables.storage.store import Store

SHAPE = (50, 3, 8, 8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delitem(PLACE, "folder", raising=False)
    monkeypatch.setattr(pixel_cache, "SMALLEST", 1)
    monkeypatch.setitem(PLACE, "folder", tmp_path / "cache")
    return tmp_path / "cache"


def drawn(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, SHAPE, generator=generator).to(torch.uint8)


def keep(key: str, seed: int = 0) -> Tensor:
    def fill(pixels: Tensor) -> dict[str, object]:
        pixels.copy_(drawn(seed))
        return {"warnings": [f"seed {seed}"]}

    pixels, notes = stored(key, SHAPE, fill)
    assert notes == {"warnings": [f"seed {seed}"]}
    return pixels


def test_pixels_are_made_once(folder: Path) -> None:
    def refuse(pixels: Tensor) -> dict[str, object]:
        raise AssertionError("made again")

    first = keep("a")
    again, notes = stored("a", SHAPE, refuse)
    assert torch.equal(first, drawn()) and torch.equal(again, first) and notes == {"warnings": ["seed 0"]}


def test_what_is_written_to_them_stays_in_the_process(folder: Path) -> None:
    keep("a").zero_()
    assert torch.equal(keep("a"), drawn())


def test_small_data_and_processes_without_a_store_use_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_cache, "SMALLEST", 50 * 3 * 8 * 8 + 1)
    assert not is_mapped(SHAPE) and torch.equal(keep("a"), drawn()) and not folder.exists()
    monkeypatch.setattr(pixel_cache, "SMALLEST", 50 * 3 * 8 * 8)
    assert is_mapped(SHAPE)
    monkeypatch.delitem(PLACE, "folder")
    assert not is_mapped(SHAPE) and torch.equal(keep("a"), drawn()) and not folder.exists()


@pytest.mark.parametrize("index", [range(5, 20), [3, 1, 4, 1, 5], range(0, 50, 2)], ids=str)
@pytest.mark.parametrize("chunk", [1, 1000, 2**30])
def test_parts_hold_what_indexing_gives(
    folder: Path, monkeypatch: pytest.MonkeyPatch, index: range | list[int], chunk: int
) -> None:
    monkeypatch.setattr(pixel_cache, "CHUNK", chunk)
    chosen = torch.tensor(list(index))
    part = rows(keep("a"), chosen)
    assert torch.equal(part, drawn()[chosen])
    second = torch.tensor([2, 0])
    assert torch.equal(rows(part, second), drawn()[chosen][second])


def test_a_range_is_a_view_and_another_part_a_file(folder: Path) -> None:
    pixels = keep("a")
    view = rows(pixels, torch.arange(10, 30))
    assert view.data_ptr() == pixels[10].data_ptr() and len(list(folder.glob("*/pixels"))) == 1
    rows(pixels, torch.tensor([7, 3]))
    assert len(list(folder.glob("*/pixels"))) == 2


def test_pixels_of_memory_stay_in_memory(folder: Path) -> None:
    assert torch.equal(rows(drawn(), torch.tensor([1, 0])), drawn()[[1, 0]])
    assert torch.equal(joined(drawn(), keep("a", 1)), torch.cat((drawn(), drawn(1))))
    assert not [place for place in folder.glob("*/pixels") if place.parent.name != "a"]


def test_other_parts_of_other_pixels_have_other_files(folder: Path) -> None:
    a, b, index = keep("a"), keep("b", 1), torch.tensor([4, 2])
    assert torch.equal(rows(a, index), drawn()[index]) and torch.equal(rows(b, index), drawn(1)[index])
    assert torch.equal(joined(a, b), torch.cat((drawn(), drawn(1))))
    assert torch.equal(joined(b, a), torch.cat((drawn(1), drawn())))
    for seed in (2, 3):
        assert torch.equal(joined(a, drawn(seed)), torch.cat((drawn(), drawn(seed))))
    changed = a + 1  # not the pixels that lie there
    assert torch.equal(rows(changed, index), drawn()[index] + 1)


def test_a_failure_leaves_nothing_that_counts(folder: Path) -> None:
    def fail(pixels: Tensor) -> dict[str, object]:
        pixels.zero_()
        raise ConfigError("a bad file")

    with pytest.raises(ConfigError, match="a bad file"):
        stored("a", SHAPE, fail)
    assert [place for place in folder.iterdir() if place.suffix != ".lock"] == []
    (folder / ".a-killed").mkdir()
    assert torch.equal(keep("a"), drawn()) and not (folder / ".a-killed").exists()


def test_a_full_disk_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(DiskError, match="No space left on device"):
        keep("a")


@pytest.mark.parametrize("text", ["", '{"warnings": [', "null"])
def test_damaged_notes_are_none_and_the_pixels_are_made_again(folder: Path, text: str) -> None:
    keep("a")
    (folder / "a" / "notes.json").write_text(text)
    assert torch.equal(keep("a"), drawn()) and torch.equal(keep("a"), drawn())


@pytest.mark.parametrize("left", [0, 1, 9599])
def test_pixels_that_were_cut_are_made_again(folder: Path, left: int) -> None:
    keep("a")
    os.truncate(folder / "a" / "pixels", left)
    assert torch.equal(keep("a"), drawn())


def test_a_file_in_the_place_of_pixels_is_replaced(folder: Path) -> None:
    folder.mkdir()
    (folder / "a").write_text("x")
    assert torch.equal(keep("a"), drawn())


def test_an_opened_store_has_the_files_beside_it(folder: Path, tmp_path: Path) -> None:
    Store(tmp_path / "home" / "store")
    keep("a")
    assert [place.name for place in (tmp_path / "home" / "cache").glob("*/pixels")] == ["pixels"]


GROWTH = """
import json, sys, torch
from pathlib import Path
from trainables.datasets.base import Images
from trainables.datasets.split import split
from trainables.stages.data import _fingerprint
from trainables.storage import cache_folder, pixel_cache

def own():  # memory of this process that no file backs, in bytes
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])

count, mapped = int(sys.argv[2]), sys.argv[3] == "mapped"
pixel_cache.SMALLEST, pixel_cache.CHUNK = 1, 2**20
if mapped:
    cache_folder.use_folder(Path(sys.argv[1]))
labels = torch.arange(count) % 10
def draw(pixels):
    for first in range(0, count, 1000):
        pixels[first : first + 1000] = torch.arange(len(pixels[first : first + 1000])).view(-1, 1, 1, 1) % 251
    return {}
torch.randperm(count)
_fingerprint(Images(pixels=torch.zeros(9, 3, 8, 8, dtype=torch.uint8), labels=labels[:9], names=(), files=()))
before = own()
pixels, _ = pixel_cache.stored(f"{count}", (count, 3, 64, 64), draw)
images = Images(pixels=pixels, labels=labels, names=tuple("abcdefghij"), files=("",) * count)
parts = split(images)
_fingerprint(images)
sums = [int(part.pixels[:, 0, 0, 0].long().sum()) for part in (parts.train, parts.validation, parts.test)]
print(json.dumps([own() - before, count * 3 * 64 * 64, sum(sums)]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    def grown(count: int, how: str) -> tuple[int, int, int]:
        command = [sys.executable, "-c", GROWTH, str(tmp_path), str(count), how]
        return tuple(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))

    few, many, plain = grown(2000, "mapped"), grown(8000, "mapped"), grown(8000, "in memory")
    assert many[2] == plain[2] == sum((n % 1000) % 251 for n in range(8000))
    assert many[1] - few[1] > 70e6  # of pixels
    assert many[0] - few[0] < 0.15 * (many[1] - few[1])  # labels, indices, and what allocators round up
    assert plain[0] > 1.5 * plain[1]  # what the same steps take without the file: all pixels and all parts
