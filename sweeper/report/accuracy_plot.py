"""Attack accuracy over test accuracy, as one SVG without any script: a point a target, a colour a series."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from sweeper.statistics.round_numbers import round_values

WIDTH, HEIGHT = 880, 460
LEFT, RIGHT, TOP, BOTTOM = 60, 220, 20, 52  # the names of the series stand at the right
LINE = 18  # height of a name
COLOURS = ("#3b6ea8", "#c0542c", "#d9a441", "#7a8f3a", "#8a5aa3", "#3f9a94", "#b0476e", "#777777")
STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#333}.soft{fill:#666}.rule{stroke:#ddd}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.soft{fill:#aaa}.rule{stroke:#444}}</style>"
)


def accuracy_svg(points: Sequence[Mapping[str, Any]]) -> str:
    """Return the picture of `points`, each ``{"series", "test_accuracy", "attack_accuracy"}``.

    A line leads through the points of a series in the order of their test accuracy. Beyond eight series
    colours come again, with open points.
    """
    series: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        place = float(point["test_accuracy"]), float(point["attack_accuracy"])
        series.setdefault(str(point["series"]), []).append(place)
    height = max(HEIGHT, TOP + BOTTOM + LINE * len(series))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Attack accuracy over test accuracy">{STYLE}',
        *_axes(height),
    ]
    for number, (name, own) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        filled = colour if number < len(COLOURS) else "none"
        placed = [_place(x, y, height) for x, y in sorted(own)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-opacity=".4"/>')
        for (x, y), (test, attack) in zip(placed, sorted(own), strict=True):
            text = f"{name}\ntest accuracy {test:.3f}, attack accuracy {attack:.3f}"
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{filled}" stroke="{colour}" '
                f"data-series={quoteattr(name)}><title>{escape(text)}</title></circle>"
            )
        x, y = WIDTH - RIGHT + 24, TOP + 10 + LINE * number
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{filled}" stroke="{colour}"/>')
        parts.append(f'<text x="{x + 12}" y="{y}">{escape(name)}</text>')
    return "".join((*parts, "</svg>"))


def _place(test: float, attack: float, height: int) -> tuple[float, float]:
    """Return where two shares in [0, 1] lie in the picture."""
    return LEFT + test * (WIDTH - LEFT - RIGHT), height - BOTTOM - attack * (height - TOP - BOTTOM)


def _axes(height: int) -> list[str]:
    parts = []
    for tick in round_values(0.0, 1.0, 6):
        x, y = _place(tick, tick, height)
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" fill="none"/>')
        parts.append(f'<path class="rule" d="M{x:.1f} {TOP}V{height - BOTTOM}" fill="none"/>')
        parts.append(
            f'<text class="soft" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
            f'<text class="soft" x="{x:.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{height - 14}" text-anchor="middle">test accuracy</text>')
    parts.append(
        f'<text x="16" y="{height / 2}" text-anchor="middle" transform="rotate(-90 16 {height / 2})">'
        "attack accuracy</text>"
    )
    return parts
