"""Widths are upper bounds of what fonts have: Pillow's own, and DejaVu where it is installed."""

import string

import pytest
from PIL import ImageFont

from sweeper.report.text_width import shorten, text_width

SIZE = 100
SHOWN = string.ascii_letters + string.digits + string.punctuation + " …↑↓λαβ–é"


def dejavu(name):
    try:
        return ImageFont.truetype(name, SIZE)
    except OSError:
        pytest.skip(f"needs {name}")


def test_no_character_is_wider_than_said():
    font = ImageFont.load_default(SIZE)
    for character in SHOWN:
        assert font.getlength(character) <= text_width(character, SIZE), character


@pytest.mark.parametrize(("name", "bold"), [("DejaVuSans.ttf", False), ("DejaVuSans-Bold.ttf", True)])
def test_nor_in_the_widest_of_the_usual_faces(name, bold):
    font = dejavu(name)
    for character in SHOWN:
        assert font.getlength(character) <= text_width(character, SIZE, bold=bold), character


def test_widths_scale_with_the_size_and_text_adds_up():
    assert text_width("ab", 24) == pytest.approx(2 * (text_width("a", 12) + text_width("b", 12)))
    assert text_width("ab", 12, bold=True) > text_width("ab", 12)


@pytest.mark.parametrize("text", ["images_per_identity", "WWWWWWWW", "a b c d e f g h", "x"])
@pytest.mark.parametrize("width", [12.0, 40.0, 90.0, 1000.0])
def test_what_does_not_fit_is_cut_and_says_so(text, width):
    cut = shorten(text, width, 12)
    fits = text_width(text, 12) <= width
    assert (cut == text) == fits
    if not fits:
        assert cut.endswith("…") and text.startswith(cut[:-1])
        assert text_width(cut, 12) <= max(width, text_width("…", 12))
