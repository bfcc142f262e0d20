"""Bit depths, formats and shapes of single pictures, against numbers worked out by hand."""

import io
import os
import struct
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image, features

from trainables.datasets.image_folder import ImageFolder
from trainables.datasets.pictures import UNREADABLE, decode, read_picture, readable_suffixes, square
from trainables.errors import ConfigError

RAMP = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    target = io.BytesIO()
    image.save(target, format=kind, **options)
    return target.getvalue()


def sixteen_bit_pgm(values: np.ndarray) -> bytes:
    return b"P5 8 8 65535\n" + values.astype(">u2").tobytes()


def sixteen_bit_tiff(values: np.ndarray, order: str) -> bytes:
    return encoded(
        Image.frombytes("I;16B" if order == ">" else "I;16", (8, 8), values.astype(f"{order}u2").tobytes()),
        "TIFF",
    )


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.fromarray(RAMP), "PNG"),
        sixteen_bit_pgm(RAMP),
        sixteen_bit_tiff(RAMP, "<"),
        sixteen_bit_tiff(RAMP, ">"),
    ],
    ids=["png", "pgm", "tiff", "big-endian tiff"],
)
def test_sixteen_bits_are_scaled_by_their_range(content):
    picture = decode(content)
    assert picture.scaled and picture.image.mode == "RGB"
    expected = np.round(RAMP / 257).astype(np.uint8)
    assert np.array_equal(np.asarray(picture.image), np.stack([expected] * 3, -1))
    assert expected.min() == 0 and expected.max() == 255 and len(np.unique(expected)) > 60


@pytest.mark.filterwarnings("ignore")  # of Pillow, of what it skips
@pytest.mark.parametrize("kind", ["TIFF", "GIF", "JPEG", "PNG"])
def test_a_damaged_file_is_a_picture_or_unreadable_wherever_it_is_damaged(kind):
    """Pillow meets some damages with a TypeError, an IndexError and others that are no `OSError`."""
    turned = Image.Exif()
    turned[0x0112], turned[0x010F] = 6, "a camera"
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), kind, **({"exif": turned} if kind == "JPEG" else {}))
    readable = 0
    for place in range(min(400, len(whole))):
        for value in (0, 1, 255):
            damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                readable += decode(damaged).image.mode == "RGB"
            except UNREADABLE:
                continue
    assert readable > 50  # many a byte does not matter


@pytest.mark.filterwarnings("ignore")  # of Pillow, of what it skips
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_malformed_entry_beside_the_orientation_does_not_matter(orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x0110], exif[0x011A] = orientation, "Model X", 72.0
    pixels = np.arange(24 * 40 * 3, dtype=np.uint32).reshape(24, 40, 3).astype(np.uint8)
    whole = encoded(Image.fromarray(pixels), "JPEG", exif=exif)
    entry = whole.index(b"\x01\x1a\x00\x05")  # a rational number, which Pillow cannot write as a byte
    damaged = whole[: entry + 3] + b"\x01" + whole[entry + 4 :]
    assert np.array_equal(np.asarray(decode(damaged).image), np.asarray(decode(whole).image))
    turned = orientation > 4
    assert decode(whole).image.size == ((24, 40) if turned else (40, 24))


def twelve_bit_tiff(values: np.ndarray, photometric: int) -> bytes:
    """Return an uncompressed TIFF of 8 by 8 pixels of 12 bits, two in three bytes."""
    pairs = values.reshape(-1, 2).astype(int)
    packed = bytes(b for x, y in pairs for b in (x >> 4, (x & 15) << 4 | y >> 8, y & 255))
    tags = [
        (256, 3, 1, 8),
        (257, 3, 1, 8),
        (258, 3, 1, 12),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 3, 1, 8),
        (279, 4, 1, len(packed)),
    ]
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<2sHI", b"II", 42, 8 + len(packed)) + packed + table + bytes(4)


def test_twelve_bits_are_scaled_by_their_own_range():
    ramp = np.linspace(0, 4095, 64).round().astype(np.uint16).reshape(8, 8)
    picture = decode(twelve_bit_tiff(ramp, photometric=1))
    assert picture.scaled
    assert np.array_equal(np.asarray(picture.image)[..., 0], np.round(ramp / 4095 * 255).astype(np.uint8))


def test_a_grey_tiff_in_which_zero_is_white_is_no_negative():
    target = io.BytesIO()
    Image.fromarray(RAMP).save(target, format="TIFF", tiffinfo={262: 0})
    stored = Image.open(io.BytesIO(target.getvalue()))
    assert stored.mode == "I;16" and stored.tag_v2[262] == 0
    expected = 255 - np.round(RAMP / 257).astype(np.uint8)
    assert np.array_equal(np.asarray(decode(target.getvalue()).image)[..., 0], expected)


@pytest.mark.parametrize(("mode", "what"), [("I", "32-bit integers"), ("F", "floats")])
def test_pixels_without_a_known_range_are_refused_by_name(tmp_path, mode, what):
    for person in "ab":
        (tmp_path / person).mkdir()
        Image.new("RGB", (8, 8), (ord(person), 0, 0)).save(tmp_path / person / "1.png")
    Image.fromarray(RAMP.astype(np.int32 if mode == "I" else np.float32)).save(tmp_path / "a" / "2.tif")
    with pytest.raises(ConfigError, match=rf"a/2.tif \(its pixels are {what} \(mode {mode}\)"):
        ImageFolder(root=str(tmp_path)).load(8)
    with pytest.raises(ConfigError, match=rf"2.tif.*{what}"):
        read_picture(tmp_path / "a" / "2.tif", 8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_eight_bits_and_less_are_not_scaled(mode):
    kind = {"CMYK": "JPEG", "YCbCr": "JPEG", "PA": "TIFF"}.get(mode, "PNG")
    if mode == "PA":
        kind = "GIF"
    grey = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode if mode != "PA" else "P")
    picture = decode(encoded(grey, kind))
    assert not picture.scaled
    assert np.abs(np.asarray(picture.image).astype(int) - 255).max() <= 1


def test_scaled_images_are_said(tmp_path):
    for person in "ab":
        (tmp_path / person).mkdir()
        Image.new("L", (8, 8), ord(person)).save(tmp_path / person / "1.png")
    Image.fromarray(RAMP).save(tmp_path / "b" / "2.png")
    images = ImageFolder(root=str(tmp_path)).load(8)
    assert any("scaled 1 of 3 images from 16 bits" in text for text in images.warnings)
    expected = torch.from_numpy(np.round(RAMP / 257).astype(np.uint8))
    assert torch.equal(images.pixels[2], expected.expand(3, -1, -1))


FORMATS = [
    "JPEG jpg",
    "JPEG jfif",
    "JPEG jpe",
    "GIF gif",
    "BMP dib",
    "WEBP webp",
    "TIFF TIF",
    "PPM pnm",
    "TGA tga",
]
FORMATS += [
    f"{kind} {suffix}"
    for kind, suffix, codec in (("AVIF", "avif", "avif"), ("JPEG2000", "jp2", "jpg_2000"))
    if features.check(codec)
]


@pytest.mark.parametrize("text", FORMATS)
def test_what_pillow_reads_is_read(tmp_path, text):
    kind, suffix = text.split()
    for number, person in enumerate("ab"):
        (tmp_path / person).mkdir()
        Image.new("RGB", (16, 16), (100 + number, 150, 200)).save(
            tmp_path / person / f"1.{suffix}", format=kind
        )
    images = ImageFolder(root=str(tmp_path)).load(16)
    assert images.names == ("a", "b") and images.warnings == ()
    near = torch.tensor([100, 150, 200]).view(3, 1, 1)
    assert (images.pixels[0].int() - near).abs().max() <= 12


def test_formats_without_a_picture_are_not_read():
    assert not readable_suffixes() & {".pdf", ".eps", ".ps", ".mpg", ".h5", ".txt", ".wmf", ".heic", ""}
    assert readable_suffixes() >= {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}


def test_heic_is_read_where_its_extra_is_installed(monkeypatch):
    def register():
        Image.register_extension("HEIF_TEST", ".heic")
        Image.register_open("HEIF_TEST", lambda *_: None, lambda _: False)

    extension, opener = dict(Image.EXTENSION), dict(Image.OPEN)
    monkeypatch.setitem(sys.modules, "pillow_heif", types.SimpleNamespace(register_heif_opener=register))
    try:
        assert ".heic" in readable_suffixes()
    finally:
        for old, table in ((extension, Image.EXTENSION), (opener, Image.OPEN)):
            table.clear()
            table.update(old)
        Image.ID.remove("HEIF_TEST")


def test_of_several_frames_the_first_is_taken_and_it_is_said(tmp_path):
    for person in "ab":
        (tmp_path / person).mkdir()
        frames = [Image.new("RGB", (8, 8), (level, level, level)) for level in (ord(person), 200)]
        frames[0].save(tmp_path / person / "1.gif", save_all=True, append_images=frames[1:])
    images = ImageFolder(root=str(tmp_path)).load(8)
    assert images.pixels[:, 0, 0, 0].tolist() == [ord("a"), ord("b")]
    assert "took the first frame of 2 of 2 images" in images.warnings[0]


def test_padding_keeps_the_whole_picture_in_the_middle():
    wide = Image.fromarray(np.full((4, 10, 3), 200, dtype=np.uint8))
    padded = np.asarray(square(wide, None, "pad"))
    assert padded.shape == (10, 10, 3)
    assert (padded[3:7] == 200).all() and (padded[:3] == 0).all() and (padded[7:] == 0).all()
    assert np.asarray(square(wide, None, "cut")).shape == (4, 4, 3)
    assert square(wide, 6, "cut") is None
    small = np.asarray(square(wide, 6, "pad"))
    assert (
        small.shape == (6, 6, 3) and (small[1:5] == 200).all() and not small[0].any() and not small[5].any()
    )


def test_a_missing_or_foreign_file_is_one_error(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a picture at .*gone.png.*got: no file"):
        read_picture(tmp_path / "gone.png", 8)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ConfigError, match=r"expected a picture at .*text.png', got: no picture that Pillow"):
        read_picture(tmp_path / "text.png", 8)
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "pipe.png"):
        with pytest.raises(ConfigError, match=r"expected a picture at .*: it is no file"):
            read_picture(path, 8)


def test_why_a_file_is_no_picture_is_said_in_words(tmp_path, monkeypatch):
    """Neither a class of Python's nor the address of a buffer; and what is too large is told its limit."""
    folder = tmp_path / "anna"
    folder.mkdir()
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)), "JPEG")
    (folder / "cut.jpg").write_bytes(whole[:900])
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "large.png").write_bytes(encoded(Image.new("L", (64, 64)), "PNG"))
    (folder / "text.png").write_text("no picture")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.raises(ConfigError) as raised, pytest.warns(Image.DecompressionBombWarning):
        (folder / "warned.png").write_bytes(encoded(Image.new("L", (50, 50)), "PNG"))
        ImageFolder(root=str(tmp_path)).load(8)
    text = str(raised.value)
    assert "got 4 bad of 5" in text and "Error" not in text and "0x" not in text
    for name, reason in (
        ("cut.jpg", "image file is truncated"),
        ("gone.jpg", "no file"),
        ("large.png", "more than 4,000 pixels; make it smaller"),
        ("text.png", "no picture that Pillow reads"),
    ):
        assert f"anna/{name} (unreadable, {reason}" in text


@pytest.mark.parametrize("transparency", [3, bytes([0, 120, 255])])
def test_a_transparent_palette_gives_its_colours_and_no_warning(transparency):
    """Warnings are errors in tests: Pillow warns of a palette whose transparency is given in bytes."""
    colours = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    image = Image.fromarray(colours).quantize(16)
    expected = np.array(image.getpalette()).reshape(-1, 3)[np.asarray(image)]
    decoded = decode(encoded(image, "PNG", transparency=transparency)).image
    assert decoded.mode == "RGB" and (np.asarray(decoded) == expected).all()
