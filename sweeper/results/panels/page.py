"""One HTML page on which a person answers panels with the keyboard. It loads nothing from anywhere."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sweeper.results.panels.layout import (
    GAP,
    QUESTION,
    QUESTION_OF_TWO,
    REFERENCES,
    SIDE,
    png,
    strip,
)
from sweeper.results.panels.selection import Panel

SECONDS = 60  # for a choice between two; who has not chosen by then has no answer
CHOICES = {1: {"yes": "y", "no": "n", "refused": "r"}, 2: {"first": "1", "second": "2"}}


def render(panels: Mapping[str, Panel]) -> str:
    """Return the page on which `panels`, by identifier, are answered in their order.

    All of them show one image, or all of them two. The images are as large as they are stored.
    """
    shown = len(next(iter(panels.values())).shown)
    choices = CHOICES[shown]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        panels=[[name, _uri(panel)] for name, panel in panels.items()],
        export=next(iter(panels)).partition("-")[0],
        question=QUESTION if shown == 1 else QUESTION_OF_TWO,
        names=[*_names(shown), "", "Set of Images B"],
        columns=f"repeat({shown}, {SIDE}fr) {GAP}fr {REFERENCES * SIDE}fr",
        alt="images to compare",
        width=SIDE * (shown + REFERENCES) + GAP,
        choices=list(choices.items()),
        keys={key: answer for answer, key in choices.items()},
        seconds=SECONDS if shown == 2 else 0,
    )


def _names(shown: int) -> Sequence[str]:
    return ["Image A"] if shown == 1 else [f"Image {place + 1}" for place in range(shown)]


def _uri(panel: Panel) -> str:
    side = min(SIDE, max(image.shape[-1] for image in panel.shown))
    image = png(strip(panel.shown, panel.references, side))
    return "data:image/png;base64," + base64.b64encode(image).decode()
