"""Pixels of many pictures in one file that is mapped into memory: made once, shared by processes and runs."""

import hashlib
import json
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from trainables.storage.cache_folder import PLACE
from trainables.storage.disk import disk_errors, remove, sync

SMALLEST = 64 * 2**20  # bytes of pixels: below that, memory is cheaper than a file
CHUNK = 64 * 2**20  # bytes that are copied at once

Shape = tuple[int, ...]
Fill = Callable[[Tensor], dict[str, Any]]


def is_mapped(shape: Shape, smallest: int | None = None) -> bool:
    """Return whether pixels of this shape lie in a file; elsewhere `stored` keeps them in memory.

    smallest: bytes from which on they do; None: `SMALLEST`.
    """
    return "folder" in PLACE and math.prod(shape) >= (SMALLEST if smallest is None else smallest)


def stored(
    key: str, shape: Shape, fill: Fill, *, smallest: int | None = None
) -> tuple[Tensor, dict[str, Any]]:
    """Return the uint8 pixels under `key` and what `fill`, which makes them, noted of them (JSON-ready).

    smallest: as in `is_mapped`, for what takes longer to make than to read. Pages of the file come and go as
    memory allows, so that pixels may be more than it holds. Do not write to them. A process that is killed
    while it makes them leaves nothing that counts, what is damaged is made again, and who comes meanwhile
    waits. Raises `DiskError` for a disk that is full or refuses.
    """
    if not is_mapped(shape, smallest):
        pixels = torch.empty(shape, dtype=torch.uint8)
        return pixels, fill(pixels)
    folder = PLACE["folder"]
    place = folder / key
    notes = _notes(place, shape)
    if notes is None:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f"{key}.lock"):
                notes = _notes(place, shape)
                if notes is None:
                    notes = _make(place, shape, fill)
    return _named(_map(place / "pixels", shape), key), notes


def rows(pixels: Tensor, index: Tensor) -> Tensor:
    """Return ``pixels[index]``; of mapped pixels a view where they follow each other, else another file."""
    shape = (len(index), *pixels.shape[1:])
    key = _key(pixels)
    if not key or not is_mapped(shape):
        return pixels[index]
    own = hashlib.sha256(key.encode() + index.numpy().tobytes()).hexdigest()[:20]
    first = int(index[0])
    if torch.equal(index, torch.arange(first, first + len(index))):
        return _named(pixels[first : first + len(index)], own)
    return stored(own, shape, lambda made: _copy(made, [(pixels, index)]))[0]


def joined(first: Tensor, second: Tensor) -> Tensor:
    """Return the pixels one after another; in a file of their own if the first ones are mapped."""
    shape = (len(first) + len(second), *first.shape[1:])
    if not (_key(first) and is_mapped(shape)):
        return torch.cat((first, second))
    other = _key(second) or hashlib.sha256(second.contiguous().numpy().data).hexdigest()
    own = hashlib.sha256(f"{_key(first)} {other}".encode()).hexdigest()[:20]
    parts = [(part, torch.arange(len(part))) for part in (first, second)]
    return stored(own, shape, lambda made: _copy(made, parts))[0]


def _key(pixels: Tensor) -> str:
    """Return under which key these very pixels lie, "" for those that lie in no file."""
    return str(getattr(pixels, "pixel_cache_key", ""))


def _named(pixels: Tensor, key: str) -> Tensor:
    pixels.pixel_cache_key = key  # type: ignore[attr-defined]
    return pixels


def _copy(made: Tensor, parts: list[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    start = 0
    for pixels, index in parts:
        for some in torch.split(index, max(1, CHUNK // max(1, pixels[0].numel()))):
            torch.index_select(pixels, 0, some, out=made[start : start + len(some)])
            start += len(some)
    return {}


def _notes(place: Path, shape: Shape) -> dict[str, Any] | None:
    """Return what was noted of the pixels at `place`; None if they are not there, or damaged."""
    try:
        notes = json.loads((place / "notes.json").read_text())
        whole = (place / "pixels").stat().st_size == math.prod(shape)
    except PermissionError:
        raise  # they may be whole
    except (OSError, ValueError):
        return None
    return notes if whole and isinstance(notes, dict) else None


def _make(place: Path, shape: Shape, fill: Fill) -> dict[str, Any]:
    for leftover in place.parent.glob(f".{place.name}-*"):  # of a killed process: we hold the lock
        shutil.rmtree(leftover, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        size = math.prod(shape)
        with (draft / "pixels").open("w+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error now, not a signal later
            memory = mmap.mmap(file.fileno(), size)
            notes = fill(torch.from_numpy(np.frombuffer(memory, dtype=np.uint8)).view(shape))
            memory.flush()
        text = json.dumps(notes)
        (draft / "notes.json").write_text(text)
        sync(draft)
        remove(place)
        os.replace(draft, place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    found: dict[str, Any] = json.loads(text)
    return found


def _map(path: Path, shape: Shape) -> Tensor:
    """Return the bytes of a file as a tensor; what were written to it would stay in this process."""
    private = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0)
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), math.prod(shape), private, mmap.PROT_READ | mmap.PROT_WRITE)
    return torch.from_numpy(np.frombuffer(memory, dtype=np.uint8)).view(shape)
