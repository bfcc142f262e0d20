"""Images from disk: a folder or a zip of identity/file trees."""

import io
import os
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from trainables.datasets.base import Dataset, Images
from trainables.errors import ConfigError
from trainables.method import file_knob

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
SHOWN = 5  # how many bad files an error names
# What PIL and zipfile raise for damaged, truncated, encrypted or absurdly large files.
DAMAGED = (OSError, EOFError, ValueError, SyntaxError, zlib.error, zipfile.BadZipFile)
UNREADABLE: tuple[type[Exception], ...] = (*DAMAGED, RuntimeError, Image.DecompressionBombError)
Read = Callable[[str], bytes]


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Dataset):
    """Images of a folder or a zip, decoded to RGB.

    Layouts, each perhaps inside one more folder: ``identity/file.jpg``; ``train/identity/file.jpg`` with
    ``test/identity/file.jpg``, where the test tree is reserved for testing; or one flat folder of images,
    which is the single identity ``all``. Identities and files are in plain order of their names; files that
    are hidden, or have no image suffix, are skipped.

    root: the folder or the .zip; ``~`` is understood.
    crop: side in pixels of the square cut from the middle of each image; None cuts the largest one.
    limit: only the first so many identities (of a single identity: images), for small runs.
    """

    kind: ClassVar[str] = "image_folder"
    summary: ClassVar[str] = "images of a folder or a zip: identity/file.jpg, train and test trees, or flat"
    source: ClassVar[str] = "your own files"

    root: str = file_knob()
    crop: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        for knob in ("crop", "limit"):
            value = getattr(self, knob)
            if value is not None and value < 1:
                raise ConfigError(f"{knob} of image_folder must be at least 1, or left out; got {value}")

    def load(self, image_size: int) -> Images:
        """Return all images, resized with antialiasing where their size differs.

        They are kept and shared within the process while the files stay the same: do not write to them.
        Raises `ConfigError` for a folder that is missing, holds no images or an unknown layout, and for files
        that are empty or unreadable, all in one message.
        """
        root = Path(self.root).expanduser()
        if not root.exists():
            raise ConfigError(
                f"image_folder expects a folder or a .zip; nothing is at {str(root.absolute())!r} (root); "
                "correct the path, or put the data there"
            )
        if root.is_file() and not zipfile.is_zipfile(root):
            raise ConfigError(
                f"image_folder expects a folder or a .zip; got the file {str(root)!r} (root), which is no zip"
            )
        listing = _listing(root)
        if root.is_dir():
            _no_empty_folders(root, [path for path, _, _ in listing])
        return _decode(self, root.resolve(), image_size, listing)


@dataclass(frozen=True)
class Entry:
    """One image: its path below the root, its identity, and whether it is reserved for testing."""

    path: str
    identity: str
    reserved: bool


@lru_cache(maxsize=4)
def _decode(
    data: ImageFolder, root: Path, image_size: int, listing: tuple[tuple[str, int, int], ...]
) -> Images:
    """Return the images; kept for the last few roots, by path, size and time of every file."""
    entries, split = _arrange([path for path, _, _ in listing], root)
    names = sorted({entry.identity for entry in entries})
    if data.limit is not None and len(names) == 1:
        entries = entries[: data.limit]
    elif data.limit is not None:
        names = names[: data.limit]
        entries = [entry for entry in entries if entry.identity in set(names)]
    number = {name: label for label, name in enumerate(names)}
    return Images(
        pixels=_pixels(root, [entry.path for entry in entries], data.crop, image_size),
        labels=torch.tensor([number[entry.identity] for entry in entries]),
        names=tuple(names),
        files=tuple(str(root / entry.path) for entry in entries),
        reserved=torch.tensor([entry.reserved for entry in entries]) if split else None,
    )


def _listing(root: Path) -> tuple[tuple[str, int, int], ...]:
    """Return (path below the root, bytes, time) of every image, sorted by path."""
    found: list[tuple[str, int, int]] = []
    if root.is_file():
        with zipfile.ZipFile(root) as archive:
            time = root.stat().st_mtime_ns
            found = [(i.filename, i.file_size, time) for i in archive.infolist() if not i.is_dir()]
    else:
        for folder, below, files in os.walk(root, followlinks=True):
            below[:] = [name for name in below if not name.startswith(".")]
            for name in files:
                path = Path(folder, name)
                stat = path.stat() if path.exists() else None  # a dangling link is reported when it is read
                size, time = (stat.st_size, stat.st_mtime_ns) if stat else (0, 0)
                found.append((path.relative_to(root).as_posix(), size, time))
    return tuple(sorted(item for item in found if _is_image(PurePosixPath(item[0]))))


def _no_empty_folders(root: Path, paths: list[str]) -> None:
    """Raise `ConfigError` for a folder beside those of identities that holds no image: someone is missing."""
    parents = {parent for path in paths for parent in PurePosixPath(path).parents}
    identities = {PurePosixPath(path).parent for path in paths} - {PurePosixPath(".")}
    empty = [
        folder.relative_to(root).as_posix()
        for above in sorted({identity.parent for identity in identities})
        for folder in sorted((root / above).iterdir())
        if folder.is_dir()
        and not folder.name.startswith(".")
        and PurePosixPath(folder.relative_to(root).as_posix()) not in parents
    ]
    if empty:
        raise ConfigError(
            f"image_folder expects images in every folder; got {len(empty)} without any, such as "
            f"{empty[0]!r} in {str(root)!r} (root); fill or remove them"
        )


def _is_image(path: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _arrange(paths: list[str], root: Path) -> tuple[list[Entry], bool]:
    """Return the entries in order of identity and path, and whether they came in train and test trees."""
    if not paths:
        raise ConfigError(
            f"image_folder expects images in identity/file.jpg below {str(root)!r} (root); found none "
            f"with a suffix of {', '.join(sorted(SUFFIXES))}"
        )
    parts = {path: PurePosixPath(path).parts for path in paths}
    top = {part[0] for part in parts.values()}
    while len(top) == 1 and min(map(len, parts.values())) > 2:  # one folder wrapped around everything
        parts = {path: part[1:] for path, part in parts.items()}
        top = {part[0] for part in parts.values()}
    split = top == {"train", "test"}
    if split:
        reserved = {path: part[0] == "test" for path, part in parts.items()}
        parts = {path: part[1:] for path, part in parts.items()}
    loose = [path for path, part in parts.items() if len(part) == 1]
    if loose and len(loose) < len(parts):
        raise ConfigError(
            "image_folder expects every image in a folder named for its identity, or none; "
            f"got {len(loose)} of {len(parts)} images outside of one, such as {loose[0]!r} in {str(root)!r} "
            "(root); move them into identity folders, or away"
        )
    alone = bool(loose) or (not split and len({part[0] for part in parts.values()}) == 1)
    entries = [
        Entry(path, "all" if alone else part[0], reserved[path] if split else False)
        for path, part in parts.items()
    ]
    return sorted(entries, key=lambda entry: (entry.identity, entry.path)), split


@contextmanager
def _reader(root: Path) -> Iterator[Read]:
    """Give a function from a path below the root to the file's bytes, callable from many threads."""
    if root.is_dir():
        yield lambda path: (root / path).read_bytes()
        return
    with zipfile.ZipFile(root) as archive:
        lock = threading.Lock()

        def read(path: str) -> bytes:
            with lock:
                return archive.read(path)

        yield read


def _pixels(root: Path, paths: list[str], crop: int | None, image_size: int) -> Tensor:
    """Return uint8 pixels (N, 3, S, S); raise one `ConfigError` that names the files that cannot be used."""
    pixels = torch.empty(len(paths), 3, image_size, image_size, dtype=torch.uint8)

    def fill(position: int) -> str | None:
        try:
            content = read(paths[position])
            if not content:
                return "empty"
            with Image.open(io.BytesIO(content)) as image:
                picture = _square(ImageOps.exif_transpose(image).convert("RGB"), crop)
        except UNREADABLE as error:
            return f"unreadable, {type(error).__name__}"
        if picture is None:
            return f"smaller than the crop of {crop}"
        if picture.size != (image_size, image_size):
            picture = picture.resize((image_size, image_size), Image.Resampling.BILINEAR)
        pixels[position] = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)
        return None

    with _reader(root) as read, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        problems = list(pool.map(fill, range(len(paths))))
    bad = [(path, problem) for path, problem in zip(paths, problems, strict=True) if problem]
    if bad:
        raise ConfigError(_complaint(root, bad, len(paths)))
    return pixels


def _square(picture: Image.Image, crop: int | None) -> Image.Image | None:
    """Return the middle square of side `crop`, or the largest one; None if the picture is too small."""
    side = crop if crop is not None else min(picture.size)
    if side > min(picture.size):
        return None
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def _complaint(root: Path, bad: Iterable[tuple[str, str]], total: int) -> str:
    bad = list(bad)
    shown = "; ".join(f"{path} ({problem})" for path, problem in bad[:SHOWN])
    more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return (
        f"image_folder expects every file to hold an image; got {len(bad)} bad of {total} in {str(root)!r} "
        f"(root): {shown}{more}; repair or remove them"
    )
