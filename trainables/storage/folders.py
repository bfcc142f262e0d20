"""The files below a folder, without what other programs leave there, each folder read once."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import ConfigError

# What file servers, operating systems and photo programs put beside people's files; in lower case.
FOREIGN = {
    "@eadir",  # Synology
    "#recycle",
    "#snapshot",
    "@tmp",
    "@recycle",  # QNAP
    "@recently-snapshot",
    "@__thumb",
    "lost+found",
    "__macosx",
    "network trash folder",
    "temporary items",
    "icon\r",
    "$recycle.bin",  # Windows
    "recycler",
    "system volume information",
    "found.000",
    "thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "picasa.ini",
    "__pycache__",
}


@dataclass(frozen=True)
class Listing:
    """Content of a folder, paths relative to it with slashes, sorted.

    files: (path, bytes, time of change in ns) of each file; a dangling link has 0 and 0.
    folders: the paths of all folders. repeated: folders that were read already under another name, left out.
    """

    files: tuple[tuple[str, int, int], ...]
    folders: tuple[str, ...]
    repeated: tuple[str, ...] = ()


def is_foreign(parts: Iterable[str]) -> bool:
    """Return whether a path of these parts is hidden, or another program's."""
    return any(part.startswith((".", "~$")) or part.casefold() in FOREIGN for part in parts)


def list_folder(root: Path) -> Listing:
    """Return what lies below `root`; links are followed, but no folder is read twice.

    Raises `ConfigError` for a folder that may not be read: what is in it would be missing without a word.
    """
    files: list[tuple[str, int, int]] = []
    folders: list[str] = []
    repeated: list[str] = []
    visited = {_identity(root)}

    def read(folder: str, prefix: str) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise ConfigError(
                f"expected a folder that can be read, got {folder!a} ({error.strerror}); "
                "allow it to be read, or move it away"
            ) from None
        below: list[tuple[bool, str, str]] = []
        for entry in entries:
            if is_foreign([entry.name]):
                continue
            path = prefix + entry.name
            if _is_folder(entry):
                below.append((entry.is_symlink(), entry.path, path))
            else:
                files.append((path, *_size_and_time(entry.path)))
        for _, place, path in sorted(below):  # folders before links to them
            if (number := _identity(place)) in visited:
                repeated.append(path)
                continue
            visited.add(number)
            folders.append(path)
            read(place, f"{path}/")

    read(str(root), "")
    return Listing(tuple(sorted(files)), tuple(sorted(folders)), tuple(sorted(repeated)))


def is_regular(path: Path) -> bool:
    """Return whether `path` is a file that ends: no pipe, no device, no dangling link."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:  # a dangling link is reported when it is read
        return 0, 0
    return status.st_size, status.st_mtime_ns
