"""Many files as one tensor: read and decoded by threads, every bad one named, large sets kept in a file."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

from PIL import Image
from torch import Tensor

from trainables.datasets.pictures import UNREADABLE, Picture, UnknownRange, decode, reason_of, resized
from trainables.errors import ConfigError
from trainables.storage.pixel_cache import is_mapped, stored
from trainables.storage.store import content_key

SHOWN = 5  # how many bad files an error names
TOGETHER = 256  # files of one task of a thread
VERSION = 1  # raise it where other pixels come of the same files


@dataclass(frozen=True)
class Pile:
    """Files of a data set that are to be read.

    kind: of the data set; root: where it lies, both for errors. paths: names of the files. read: bytes of the
    file at a position, callable from many threads. cut: the square of the picture at a position that is used,
    None of a picture that is `too_small`. recipe: JSON-ready data that changes when `cut` does. decode: bytes
    to a picture.
    """

    kind: str
    root: str
    paths: Sequence[str]
    read: Callable[[int], bytes]
    cut: Callable[[int, Image.Image], Image.Image | None]
    recipe: Any
    too_small: str = "too small"
    decode: Callable[[bytes], Picture] = decode


@dataclass(frozen=True)
class Decoded:
    """The pictures of some files. pixels: uint8 (N, 3, S, S). digests: of each file's bytes."""

    pixels: Tensor
    digests: tuple[bytes, ...]
    warnings: tuple[str, ...]


def read_all(pile: Pile, image_size: int) -> Decoded:
    """Return the decoded files; raise one `ConfigError` that names those that cannot be used."""
    shape = (len(pile.paths), 3, image_size, image_size)
    if is_mapped(shape):
        digests = list(chain.from_iterable(_in_threads(len(pile.paths), lambda n: _digest(_bytes(pile, n)))))
        key = content_key(version=VERSION, recipe=pile.recipe, size=image_size, files=_digest_all(digests))
    else:
        digests, key = [b""] * len(pile.paths), ""
    pixels, notes = stored(key, shape, lambda made: _fill(made, pile, digests))
    return Decoded(pixels, tuple(digests), tuple(notes["warnings"]))


def _fill(pixels: Tensor, pile: Pile, digests: list[bytes]) -> dict[str, Any]:
    """Write the pictures and the digests of their files, and return the warnings of how they were read."""
    scaled: list[int] = []
    layered: list[int] = []
    small: list[int] = []  # sides of squares that are enlarged more than twice

    def fill(position: int) -> tuple[str, str] | None:
        problem = write(position)
        return None if problem is None else (pile.paths[position], problem)

    def write(position: int) -> str | None:
        try:
            content = pile.read(position)
            if not content:
                return "empty"
            picture = pile.decode(content)
            middle = pile.cut(position, picture.image)
        except UnknownRange as error:
            return str(error)
        except UNREADABLE as error:
            return f"unreadable, {reason_of(error)}"
        if middle is None:
            return pile.too_small
        pixels[position] = resized(middle, pixels.shape[-1])
        digests[position] = _digest(content)
        if 2 * middle.width < pixels.shape[-1]:
            small.append(middle.width)
        if picture.scaled:
            scaled.append(position)
        if picture.frames > 1:
            layered.append(position)
        return None

    bad = [problem for some in _in_threads(len(pile.paths), fill) for problem in some if problem]
    if bad:
        raise ConfigError(_complaint(pile, bad))
    total = len(pile.paths)  # no names in a warning: it goes into the card of a released target
    warnings = []
    if scaled:
        warnings.append(f"scaled {len(scaled)} of {total} images from 16 bits to 8, 65535 to 255")
    if layered:
        warnings.append(f"took the first frame of {len(layered)} of {total} images that hold several")
    if small:
        side = min(small)
        warnings.append(
            f"{len(small)} of {total} images are smaller than image_size and were enlarged (smallest "
            f"{side}x{side})"
        )
    return {"warnings": warnings}


def _in_threads(count: int, work: Callable[[int], Any]) -> Iterator[list[Any]]:
    """Yield the results of ``work(0)`` to ``work(count - 1)`` in order, some at a time."""
    ranges = [range(first, min(first + TOGETHER, count)) for first in range(0, count, TOGETHER)]
    if count < 8 * TOGETHER:
        ranges = [range(n, n + 1) for n in range(count)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(lambda some: [work(position) for position in some], ranges)


def _bytes(pile: Pile, position: int) -> bytes:
    try:
        return pile.read(position)
    except UNREADABLE:
        return b""  # whoever decodes it says so


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _digest_all(digests: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _complaint(pile: Pile, bad: list[tuple[str, str]]) -> str:
    shown = "; ".join(f"{path} ({problem})" for path, problem in bad[:SHOWN])
    more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return (
        f"{pile.kind} expects every file to hold an image; got {len(bad)} bad of {len(pile.paths)} in "
        f"{pile.root!r} (root): {shown}{more}; repair or remove them"
    )
