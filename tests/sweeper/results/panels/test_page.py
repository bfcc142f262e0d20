"""The page of panels as it is written: what a reader sees, in which order, and how the answers are called."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from sweeper.results.panels.page import render
from sweeper.results.panels.selection import Panel

SIDE, GAP, REFERENCES = 224, 100, 4  # of the evaluation critique


def panel(*sides, seed=0):
    """Return a panel that shows images of these sides, in pixels, beside references of 32."""
    noise = torch.Generator().manual_seed(seed)
    shown, references = (
        tuple(torch.randint(0, 256, (3, side, side), generator=noise, dtype=torch.uint8) for side in listed)
        for listed in (sides, (32,) * REFERENCES)
    )
    return Panel(about={"kind": "attack"}, shown=shown, references=references)


class Page(HTMLParser):
    """Texts of a page by the tag that they stand in, and its buttons."""

    def __init__(self, text):
        super().__init__()
        self.text, self.texts, self.buttons, self._open = text, {}, {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._open.append((tag, dict(attributes)))
        if tag == "span":
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tag, _ = self._open[-1] if self._open else ("", {})
        if tag == "kbd":
            answer = self._open[-2][1].get("data-answer")
            self.buttons |= {answer: data} if answer else {}
        elif tag == "span":
            self.texts[tag][-1] += data
        else:
            self.texts.setdefault(tag, []).append(data)

    def constant(self, name):
        """Return the constant of its script, which is JSON."""
        return json.loads(re.search(rf"const {name} = (.*?);(?:\n|  //)", self.text)[1])

    def images(self):
        """Return the rows of images by identifier, in the order of the page, (height, width, 3)."""
        rows = {}
        for name, uri in self.constant("panels"):
            kind, _, data = uri.partition("base64,")
            assert kind == "data:image/png;"
            rows[name] = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        return rows


@pytest.mark.parametrize(
    ("shown", "question", "names", "buttons", "seconds"),
    [
        (
            1,
            "Does Image A depict the same individual as the images in Set B?",
            ["Image A", "", "Set of Images B"],
            {"yes": "y", "no": "n", "refused": "r"},
            0,
        ),
        (
            2,
            "Which is closer to the individual in Set B: Image 1 or Image 2?",
            ["Image 1", "Image 2", "", "Set of Images B"],
            {"first": "1", "second": "2"},
            60,
        ),
    ],
)
def test_one_image_is_asked_about_and_two_are_chosen_between(shown, question, names, buttons, seconds):
    page = Page(render({"a1b2c3-001": panel(*(32,) * shown), "a1b2c3-002": panel(*(32,) * shown, seed=1)}))
    assert page.texts["h1"] == [question]
    assert page.texts["span"] == ["", "", *names]  # the first two are filled in by the script
    assert page.buttons == buttons
    assert page.constant("keys") == {key: answer for answer, key in buttons.items()}
    assert page.constant("seconds") == seconds
    assert "</span> of 2<span" in page.text and 'max="2"' in page.text
    assert page.constant("store") == "panels a1b2c3"  # answers to another export are others


@pytest.mark.parametrize("shown", [1, 2])
def test_names_stand_under_their_images(shown):
    """Columns in proportion to the row of images: each shown one, the gap, four references."""
    page = Page(render({"x-1": panel(*(32,) * shown)}))
    columns = re.search(r"grid-template-columns: (.*?);", page.text)[1]
    expanded = re.sub(r"repeat\((\d+), (\S+)\)", lambda m: " ".join([m[2]] * int(m[1])), columns)
    assert expanded.split() == ["224fr"] * shown + ["100fr", f"{REFERENCES * SIDE}fr"]
    width = SIDE * (shown + REFERENCES) + GAP
    assert re.findall(r"max-width: (\d+)px", page.text)[1:] == [str(width)] * 3  # the first is the page's


def test_panels_keep_their_order_and_their_pixels():
    panels = {f"x-{n}": panel(32, seed=n) for n in (3, 1, 2)}
    rows = Page(render(panels)).images()
    assert list(rows) == ["x-3", "x-1", "x-2"]
    gap = round(GAP * 32 / SIDE)
    for name, row in rows.items():
        assert row.shape == (32, 5 * 32 + gap, 3)
        images = [panels[name].shown[0], *panels[name].references]
        places = [0, *(32 + gap + 32 * place for place in range(REFERENCES))]
        for place, image in zip(places, images, strict=True):
            assert (row[:, place : place + 32] == image.permute(1, 2, 0).numpy()).all()


@pytest.mark.parametrize(
    ("sides", "height"), [((16,), 16), ((300,), SIDE), ((64, 16), 64), ((16, 64), 64), ((64, 300), SIDE)]
)
def test_a_row_is_as_high_as_its_largest_image_up_to_that_of_the_critique(sides, height):
    (row,) = Page(render({"x-1": panel(*sides)})).images().values()
    assert row.shape[:2] == (height, height * (len(sides) + REFERENCES) + round(GAP * height / SIDE))
