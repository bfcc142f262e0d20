"""Images from disk: a folder or a zip of identity/file trees."""

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, get_args

import torch
from PIL import Image

from trainables.datasets.base import Contents, Dataset, Images
from trainables.datasets.canaries import add_canaries
from trainables.datasets.layout import arrange, by_suffix, loss_warnings, remedy
from trainables.datasets.pictures import UNREADABLE, Fit, readable_suffixes, square
from trainables.datasets.reading import Pile, read_all
from trainables.datasets.zip_names import path_of
from trainables.errors import ConfigError
from trainables.method import file_knob, later_knob
from trainables.storage.digests import file_digests, remembered
from trainables.storage.folders import Listing, is_foreign, is_regular, list_folder

SHOWN = 5  # how many bad files an error names
ZIP_NAMES = "zip_names_2"  # another where other names come of the same zip: fingerprints are remembered there
Read = Callable[[str], bytes]
LOADED: dict[str, tuple[str, ...]] = {}  # the folders below each root that this process loaded


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Dataset):
    """Images of a folder or a zip, decoded to RGB at eight bits.

    Layouts, each perhaps inside one more folder: ``identity/file.jpg``; ``train/identity/file.jpg`` with
    ``test/identity/file.jpg``, perhaps with a validation part, in the usual spellings (``Training``, ``val``,
    ``testing`` and so on), where each image stays in its part; or one flat folder of images, which is the
    single identity ``all``. Any other layout is refused. Identities and files are in plain order of their
    names. What is hidden, or left there by other programs (thumbnails of file servers, wastebaskets), is
    skipped; other files that Pillow cannot read are counted in a warning, and no folder is read twice.

    root: the folder or the .zip; ``~`` is understood.
    crop: side in pixels of the square cut from the middle of each image; None cuts the largest one.
    limit: only the first so many identities (of a single identity: images), for small runs.
    fit: of an image that is not square, "cut" takes the middle square, and "pad" the whole image with black
        beside it; with a crop, "pad" also takes images that are smaller than it.
    allow_duplicates: equal images in two parts or under two people are a warning instead of an error, and so
        are images that pre-training shares with the private data.
    anonymous_names: the names say nothing about who is shown, as numbers that each data set counts anew; they
        are not compared between private and public data.
    grey: take the colours away; the three channels are equal. For public images beside private ones that are
        grey, so that a prior draws what the target knows. Canaries lose theirs too.
    canaries: how many rendered people stand beside those of the folder, see `add_canaries`. Among private
        images they are people whose leak harms nobody; public images need some of their own (others) if the
        attacker's prior is to draw rendered people at all.
    """

    kind: ClassVar[str] = "image_folder"
    summary: ClassVar[str] = "images of a folder or a zip: identity/file.jpg, train and test trees, or flat"
    source: ClassVar[str] = "your own files"

    root: str = file_knob()
    crop: int | None = None
    limit: int | None = None
    fit: Literal["cut", "pad"] = later_knob("cut")
    allow_duplicates: bool = later_knob(False)
    anonymous_names: bool = later_knob(False)
    canaries: int = later_knob(0)
    grey: bool = later_knob(False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for knob in ("crop", "limit"):
            value = getattr(self, knob)
            if value is not None and value < 1:
                raise ConfigError(f"{knob} of image_folder must be at least 1, or left out; got {value}")
        if self.canaries < 0:
            raise ConfigError(f"canaries of image_folder must be at least 0; got {self.canaries}")
        if self.fit not in get_args(Fit):
            raise ConfigError(
                f"fit of image_folder must be one of {', '.join(get_args(Fit))}; got {self.fit!r}"
            )

    @property
    def version(self) -> int:  # type: ignore[override]  # of these knobs, not of the class
        """Return 2 for grey images with canaries, which had colours once; else 1."""
        return 2 if self.grey and self.canaries else 1

    @property
    def view(self) -> dict[str, Any]:
        """Return crop, fit and grey, as far as they are not the defaults."""
        return {
            **({} if self.crop is None else {"crop": self.crop}),
            **({} if self.fit == "cut" else {"fit": self.fit}),
            **({"grey": True} if self.grey else {}),
        }

    def stamp(self) -> tuple[int, ...]:
        """Return the times of the folders loaded last: files added, moved and renamed change them."""
        root = Path(self.root).expanduser()
        folders = LOADED.get(str(root), ())
        return tuple(_time(place) for place in (root, *(root / folder for folder in folders)))

    def load(self, image_size: int) -> Images:
        """Return all images, resized with antialiasing where their size differs.

        They are kept and shared within the process while the files stay the same: do not write to them.
        Raises `ConfigError` for a folder that is missing, holds no images or an unknown layout, and for files
        that are empty or unreadable, all in one message.
        """
        root, listing = self._listed()
        LOADED[str(root)] = () if root.is_file() else listing.folders
        return _decode(self, root.resolve(), image_size, listing, readable_suffixes())

    def contents(self, memory: Path | None = None) -> Contents:
        """Return how many people and images there are, and one fingerprint for a folder and its zip."""
        root, listing = self._listed()
        paths, others = _pictures(root, listing, readable_suffixes())
        entries, _ = arrange(paths, listing.folders, others, str(root))

        def fingerprint(digests: Mapping[str, str]) -> str:
            rows = [
                [e.identity, e.part or "", PurePosixPath(e.path).name, digests[e.path]] for e in entries
            ]  # not the whole path: a folder that is wrapped around everything says nothing
            return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()[:20]

        def of_zip() -> str:
            with _reader(root) as read:
                try:
                    return fingerprint({e.path: hashlib.sha256(read(e.path)).hexdigest() for e in entries})
                except UNREADABLE as error:
                    raise _damaged(root, error) from None

        return Contents(
            people=len({entry.identity for entry in entries}),
            images=len(entries),
            fingerprint=(
                remembered(root, None if memory is None else memory / ZIP_NAMES, of_zip)
                if root.is_file()
                else fingerprint(file_digests(root.resolve(), memory))
            ),
        )

    def has_parts(self) -> bool:
        """Return whether the top folders are parts."""
        root, listing = self._listed()
        paths, others = _pictures(root, listing, readable_suffixes())
        return any(entry.part for entry in arrange(paths, listing.folders, others, str(root))[0])

    def _listed(self) -> tuple[Path, Listing]:
        """Return the root and what lies below it; raise `ConfigError` where nothing does."""
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
        return root, _list_zip(root) if root.is_file() else list_folder(root)


def _time(place: Path) -> int:
    try:
        return place.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _decode(
    data: ImageFolder, root: Path, image_size: int, listing: Listing, suffixes: frozenset[str]
) -> Images:
    """Return the images; kept for the last few roots, by path, size and time of every file."""
    paths, others = _pictures(root, listing, suffixes)
    entries, warnings = arrange(paths, listing.folders, others, str(root))
    warnings += loss_warnings(others)
    if listing.repeated:
        count = len(listing.repeated)
        warnings.append(f"left out {count} linked folder{'' if count == 1 else 's'} read already")
    names = sorted({entry.identity for entry in entries})
    if data.limit is not None and len(names) == 1:
        entries = entries[: data.limit]
    elif data.limit is not None:
        names = names[: data.limit]
        entries = [entry for entry in entries if entry.identity in set(names)]
    number = {name: label for label, name in enumerate(names)}
    with _reader(root) as reader:
        read = read_all(_pile(data, root, [entry.path for entry in entries], reader), image_size)
    given = {entry.part for entry in entries} - {None}
    images = Images(
        pixels=read.pixels,
        labels=torch.tensor([number[entry.identity] for entry in entries]),
        names=tuple(names),
        files=tuple(str(root / entry.path) for entry in entries),
        reserved=torch.tensor([entry.part == "test" for entry in entries]) if given else None,
        checked=(
            torch.tensor([entry.part == "validation" for entry in entries]) if "validation" in given else None
        ),
        digests=read.digests,
        warnings=(*warnings, *read.warnings),
    )
    return add_canaries(images, data.canaries, grey=data.grey) if data.canaries else images


def _pictures(root: Path, listing: Listing, suffixes: frozenset[str]) -> tuple[list[str], list[str]]:
    """Return the paths of what can be read as images, at least one, and of all other files."""
    paths = [path for path, _, _ in listing.files if PurePosixPath(path).suffix.lower() in suffixes]
    others = sorted({path for path, _, _ in listing.files} - set(paths))
    if not paths:
        got = f"found none, but {by_suffix(others)}; {remedy(others)}" if others else "found none"
        raise ConfigError(
            f"image_folder expects images in identity/file.jpg below {str(root)!r} (root); {got} "
            "(what Pillow reads: .jpg, .png, .webp, .tif and others)"
        )
    _check_names(paths, root)
    return paths, others


def _list_zip(root: Path) -> Listing:
    """Return what lies in a zip, without what other programs leave there."""
    time = root.stat().st_mtime_ns
    try:
        with zipfile.ZipFile(root) as archive:
            entries = [(path_of(i), i) for i in archive.infolist()]
    except UNREADABLE as error:
        raise _damaged(root, error) from None
    entries = [(name, i) for name, i in entries if not is_foreign(PurePosixPath(name).parts)]
    files = {name: entry.file_size for name, entry in entries if not name.endswith("/")}
    folders = {PurePosixPath(name).as_posix() for name, _ in entries if name.endswith("/")}
    folders |= {parent.as_posix() for file in files for parent in PurePosixPath(file).parents}
    return Listing(
        tuple((file, size, time) for file, size in sorted(files.items())), tuple(sorted(folders - {"."}))
    )


def _damaged(root: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"image_folder expects a zip that can be read in {str(root)!a} (root), got: {error}; copy or pack it "
        "again, without a password"
    )


def _check_names(paths: list[str], root: Path) -> None:
    """Raise one `ConfigError` naming the paths that are no UTF-8: they can be neither shown nor stored."""
    bad = [path for path in paths if not _is_utf8(path)]
    if bad:
        shown = ", ".join(repr(os.fsencode(path))[1:] for path in bad[:SHOWN])
        more = f", and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise ConfigError(
            f"image_folder expects names of folders and files in UTF-8; got {len(bad)} that are not in "
            f"{str(root)!a} (root): {shown}{more}; rename them (convmv -r -f latin1 -t utf8 does)"
        )


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _reader(root: Path) -> Iterator[Read]:
    """Give a function from a path below the root to the file's bytes, callable from many threads."""
    if root.is_dir():

        def read_file(path: str) -> bytes:
            if not is_regular(root / path):
                raise FileNotFoundError(path)  # a pipe would never end
            return (root / path).read_bytes()

        yield read_file
        return
    with zipfile.ZipFile(root) as archive:
        lock = threading.Lock()
        entries = {path_of(entry): entry for entry in archive.infolist()}

        def read(path: str) -> bytes:
            with lock:
                return archive.read(entries[path])

        yield read


def _cut(data: ImageFolder, picture: Image.Image) -> Image.Image | None:
    """Return the square of a picture that is used, None where it is too small."""
    return square(picture, **data.view)


def _pile(data: ImageFolder, root: Path, paths: list[str], read: Read) -> Pile:
    """Return the files to read, and how their squares are cut."""
    return Pile(
        kind=data.kind,
        root=str(root),
        paths=paths,
        read=lambda position: read(paths[position]),
        cut=lambda position, picture: _cut(data, picture),
        recipe=[data.crop, data.fit, *(["grey"] if data.grey else [])],
        too_small=f"smaller than the crop of {data.crop}: lower it, or set fit: pad",
    )
