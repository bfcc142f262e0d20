"""One picture: which files hold one, its pixels as RGB at eight bits, and the square of it that is used."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from trainables.errors import ConfigError
from trainables.storage.folders import is_regular

Fit = Literal["cut", "pad"]

# What PIL and zipfile raise for damaged, truncated, encrypted or absurdly large files.
DAMAGED = (OSError, EOFError, ValueError, SyntaxError, zlib.error, zipfile.BadZipFile)
UNREADABLE: tuple[type[Exception], ...] = (*DAMAGED, RuntimeError, Image.DecompressionBombError)

# Formats that Pillow knows by name, but that hold no photograph that it can decode by itself.
NO_PICTURES = {"EPS", "PDF", "WMF", "MPEG", "HDF5", "BUFR", "GRIB", "FITS", "IPTC", "PALM", "XVTHUMB"}
HEIF = {".heic", ".heif", ".hif", ".heics", ".heifs"}
SIXTEEN_BITS = 65535
ORIENTATION = 0x0112  # of EXIF: how to turn the picture
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
LAYERED = {"GIF", "TIFF", "PNG", "WEBP", "AVIF", "HEIF"}  # several frames in them are several pictures


@dataclass(frozen=True)
class Picture:
    """A decoded picture. image: RGB, upright. scaled: it had 16 bits. frames: how many its file holds."""

    image: Image.Image
    scaled: bool = False
    frames: int = 1


def readable_suffixes() -> frozenset[str]:
    """Return the suffixes, in lower case with their dot, of the picture formats that Pillow decodes here.

    HEIC is among them where ``pillow-heif`` (the extra ``heif``) is installed.
    """
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass
    known = Image.registered_extensions()
    return frozenset(s for s, kind in known.items() if kind in Image.OPEN and kind not in NO_PICTURES)


def decode(content: bytes) -> Picture:
    """Return the first picture of a file as RGB, its EXIF rotation applied.

    16-bit grey (12-bit in some TIFFs) is scaled by its range to 255. Raises `UnknownRange` for pixels without
    a known one (32-bit integers, floats), and one of `UNREADABLE` for what is no picture.
    """
    try:
        return _decoded(content)
    except UNREADABLE:
        raise
    except MemoryError:
        raise
    except Exception as error:  # what Pillow raises for a damaged file depends on where it is damaged
        raise ValueError(f"damaged, {type(error).__name__}: {error}") from error


def _decoded(content: bytes) -> Picture:
    with Image.open(io.BytesIO(content)) as image:
        frames = getattr(image, "n_frames", 1) if image.format in LAYERED else 1
        mode, kind = image.mode, image.format
        upright = _upright(image)
        if mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM")):
            most, negative = _grey_of_tiff(image) if kind == "TIFF" else (SIXTEEN_BITS, False)
            values = np.asarray(upright).astype(np.int64).clip(0, most)
            eight = ((values * 255 + most // 2) // most).astype(np.uint8)
            eight = 255 - eight if negative else eight
            return Picture(Image.fromarray(eight).convert("RGB"), scaled=True, frames=frames)
        if mode in ("I", "F"):
            what = "32-bit integers" if mode == "I" else "floats"
            raise UnknownRange(f"its pixels are {what} (mode {mode}), whose range is not known")
        if mode == "P" and "transparency" in upright.info:  # the same colours, without a warning of Pillow's
            upright = upright.convert("RGBA")
        return Picture(upright.convert("RGB"), frames=frames)


def _upright(image: Image.Image) -> Image.Image:
    """Return the picture turned as its EXIF says.

    Pillow's `exif_transpose` writes all of the EXIF anew, and fails over any entry of it that is malformed.
    """
    image.load()  # which turns some TIFFs by itself, and takes the entry away
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    return image.copy() if turn is None else image.transpose(turn)


def _grey_of_tiff(image: Any) -> tuple[int, bool]:
    """Return the largest value of a grey TIFF, which may have 12 bits, and whether 0 is white in it."""
    bits, photometric = image.tag_v2.get(258, (16,)), image.tag_v2.get(262, 1)
    return 2 ** int(bits[0] if isinstance(bits, tuple) else bits) - 1, photometric == 0


def reason_of(error: Exception) -> str:
    """Return why a picture cannot be read, one of `UNREADABLE`, for a message that names its file."""
    match error:
        case UnidentifiedImageError():
            return "no picture that Pillow reads"
        case Image.DecompressionBombError():
            return f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; make it smaller"
        case FileNotFoundError():
            return "no file"
        case OSError(strerror=str(reason)):
            return reason
    return " ".join(str(error).split()) or type(error).__name__


class UnknownRange(ValueError):
    """Pixels that cannot be scaled to eight bits without a guess."""


def square(
    picture: Image.Image,
    crop: int | None = None,
    fit: Fit = "cut",
    *,
    of: int | None = None,
    squeeze: bool = False,
    grey: bool = False,
) -> Image.Image | None:
    """Return the middle square of side `crop`; None of a picture that is too small for it.

    crop: None takes the shorter side (fit "cut") or the longer one (fit "pad"). fit: "pad" fills what lies
    outside of the picture with black, and no picture is too small. of: the crop is of pictures whose shorter
    side has so many pixels, and in proportion of others. squeeze: the whole picture, without its proportions.
    grey: without its colours.
    """
    if not squeeze:
        side = crop if crop is not None else (max if fit == "pad" else min)(picture.size)
        if crop is not None and of is not None:
            side = max(1, round(crop * min(picture.size) / of))
        if fit == "cut" and side > min(picture.size):
            return None
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    return ImageOps.grayscale(picture).convert("RGB") if grey else picture


def resized(picture: Image.Image, size: int) -> Tensor:
    """Return a square picture as uint8 (3, size, size), with antialiasing where its size differs."""
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)


def read_picture(path: str | Path, size: int, **view: Any) -> Tensor:
    """Return the picture at `path` as uint8 (3, size, size), as the data set of this `Dataset.view` reads it.

    view: what `square` takes. A picture that is too small for the crop gives its largest square. Raises
    `ConfigError` for a file that is missing or holds no picture.
    """
    place = Path(path).expanduser()
    try:
        readable_suffixes()  # registers what is installed
        if place.exists() and not is_regular(place):
            raise ValueError("it is no file")
        picture = decode(place.read_bytes()).image
    except UNREADABLE as error:
        raise ConfigError(f"expected a picture at {str(place)!a}, got: {reason_of(error)}") from None
    cut = square(picture, **view) or square(picture, **{**view, "crop": None})
    assert cut is not None
    return resized(cut, size)
