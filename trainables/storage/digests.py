"""Digests of files and folders by their bytes; by path, size and times they are remembered, and read once."""

import functools
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from trainables.storage.disk import write_text
from trainables.storage.folders import is_regular, list_folder

Noted = dict[str, tuple[int, int, int, str]]  # path below the folder: bytes, two times in ns, digest

FRESH_NS = 2_000_000_000  # a file that changed so lately may change again without another time


def digest(path: Path, memory: Path | None = None) -> str:
    """Return the SHA-256 of a file's bytes, or of the names and bytes of all files in a folder, as hex.

    What other programs leave in a folder does not count, see `list_folder`. memory: a folder in which digests
    are remembered from process to process; None remembers nothing of a folder.
    """
    if path.is_dir():
        return _folder_digest(path.resolve(), memory)
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _file_digest(path: Path, size: int, modified: int) -> str:
    return _bytes_digest(path)


def _bytes_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_digest(root: Path, memory: Path | None) -> str:
    return hashlib.sha256(json.dumps(list(file_digests(root, memory).items())).encode()).hexdigest()


def file_digests(root: Path, memory: Path | None = None) -> dict[str, str]:
    """Return path below the folder `root` -> SHA-256 of the file's bytes, see `digest`.

    The paths have slashes, and are sorted; the digest of what is no file is "".
    """
    place = _place(root, memory)
    before = {} if place is None else _recall(place)
    now: Noted = {}
    listing = {}
    for name, _, _ in list_folder(root).files:
        path = root / name
        if not is_regular(path):  # whoever reads it says so
            listing[name] = ""
            continue
        status, began = path.stat(), time.time_ns()
        times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = before.get(name)
        if known is not None and known[:3] == times:
            now[name] = known
            listing[name] = known[3]
            continue
        content = _bytes_digest(path)
        listing[name] = content
        if began - max(status.st_mtime_ns, status.st_ctime_ns) > FRESH_NS:
            now[name] = (*times, content)
    if place is not None and now != before:
        _remember(place, now)
    return listing


def remembered(path: Path, memory: Path | None, compute: Callable[[], str]) -> str:
    """Return what `compute` says of the bytes of a file, from memory while the file stays as it is."""
    place = _place(path.resolve() / "as a whole", memory)
    status, began = path.stat(), time.time_ns()
    times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    known = {} if place is None else _recall(place)
    if "" in known and known[""][:3] == times:
        return known[""][3]
    text = compute()
    if place is not None and began - max(times[1:]) > FRESH_NS:
        _remember(place, {"": (*times, text)})
    return text


def _place(path: Path, memory: Path | None) -> Path | None:
    """Return the file in which digests of what lies at `path` are remembered."""
    return None if memory is None else memory / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:20]}.json"


def _recall(place: Path) -> Noted:
    """Return what was remembered, {} if that is nothing or damaged: then the bytes are read again."""
    try:
        noted = json.loads(place.read_text())
        return {str(n): (int(s), int(m), int(c), str(d)) for n, (s, m, c, d) in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(place: Path, noted: Noted) -> None:
    """Write `noted` at once and whole; a disk that refuses costs time later, and nothing else."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, json.dumps(noted))
    except OSError:
        return
