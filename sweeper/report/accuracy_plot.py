"""Attack accuracy over test accuracy, as one SVG without any script: a point a target, a colour a series."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from sweeper.report.markers import marker
from sweeper.report.text_width import text_width
from sweeper.statistics.round_numbers import round_values

WIDTH, HEIGHT = 880, 460  # at least: long names and many series take more
LEFT, TOP, BOTTOM = 60, 20, 52
RIGHT = 660  # where the axes end; the names of the series stand beyond
NAMES = RIGHT + 36  # where names begin
LINE = 18  # height of a name
SIZE = 12  # of the font, in pixels
COLOURS = ("#3b6ea8", "#c0542c", "#d9a441", "#7a8f3a", "#8a5aa3", "#3f9a94", "#b0476e", "#777777")
STYLE = (
    "<style>.accuracies{--ink:#333;--soft:#666;--rule:#ddd;--paper:#fff}"
    "@media(prefers-color-scheme:dark){.accuracies{--ink:#ddd;--soft:#aaa;--rule:#444;--paper:#161b22}}"
    f".accuracies text{{font:{SIZE}px system-ui,sans-serif;fill:var(--ink)}}"
    ".accuracies .soft{fill:var(--soft)}.accuracies .rule{stroke:var(--rule)}</style>"
)


def accuracy_svg(points: Sequence[Mapping[str, Any]]) -> str:
    """Return the picture of `points`, each ``{"series", "test_accuracy", "attack_accuracy"}``.

    A line leads through the points of a series in the order of their test accuracy. Beyond eight series
    colours come again, with open points; beyond sixteen as squares, then triangles, then diamonds.
    """
    series: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        place = float(point["test_accuracy"]), float(point["attack_accuracy"])
        series.setdefault(str(point["series"]), []).append(place)
    height = max(HEIGHT, TOP + BOTTOM + LINE * len(series))
    width = max([WIDTH, *(math.ceil(NAMES + text_width(name, SIZE)) for name in series)])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" class="accuracies" '
        f'role="img" aria-label="Attack accuracy over test accuracy">{STYLE}',
        f'<rect width="{width}" height="{height}" fill="var(--paper)"/>',
        *_axes(height),
    ]
    for number, (name, own) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [_place(x, y, height) for x, y in sorted(own)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-opacity=".4"/>')
        for (x, y), (test, attack) in zip(placed, sorted(own), strict=True):
            text = f"{name}\ntest accuracy {test:.3f}, attack accuracy {attack:.3f}"
            title = f"<title>{escape(text)}</title>"
            parts.append(f"<g data-series={quoteattr(name)}>{_mark(number, x, y)}{title}</g>")
        y = TOP + 10 + LINE * number
        parts.append(f"<g data-legend={quoteattr(name)}>{_mark(number, RIGHT + 24, y - 4)}</g>")
        parts.append(f'<text x="{NAMES}" y="{y}">{escape(name)}</text>')
    return "".join((*parts, "</svg>"))


def _mark(number: int, x: float, y: float) -> str:
    """Return the mark of the series `number` at (x, y), in pixels: colours, then open ones, then shapes."""
    turn, place = divmod(number, len(COLOURS))
    colour = COLOURS[place]
    filled = "none" if turn % 2 else colour
    return f'<path d="{marker(turn // 2, x, y, 4)}" fill="{filled}" stroke="{colour}"/>'


def _place(test: float, attack: float, height: int) -> tuple[float, float]:
    """Return where two shares in [0, 1] lie in the picture."""
    return LEFT + test * (RIGHT - LEFT), height - BOTTOM - attack * (height - TOP - BOTTOM)


def _axes(height: int) -> list[str]:
    parts = []
    for tick in round_values(0.0, 1.0, 6):
        x, y = _place(tick, tick, height)
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{RIGHT}" fill="none"/>')
        parts.append(f'<path class="rule" d="M{x:.1f} {TOP}V{height - BOTTOM}" fill="none"/>')
        parts.append(
            f'<text class="soft" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
            f'<text class="soft" x="{x:.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
        )
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{height - 14}" text-anchor="middle">test accuracy</text>')
    parts.append(
        f'<text x="16" y="{height / 2}" text-anchor="middle" transform="rotate(-90 16 {height / 2})">'
        "attack accuracy</text>"
    )
    return parts
