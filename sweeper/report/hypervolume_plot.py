"""Hypervolume against work, as one SVG without any script."""

from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from sweeper.results import formatting
from sweeper.statistics.hypervolume import HypervolumeStep
from sweeper.statistics.round_numbers import round_values

Scale = Callable[[float], float]

WIDTH, HEIGHT = 880, 270
LEFT, RIGHT, TOP, BOTTOM = 70, 26, 30, 50


class Series(NamedTuple):
    """The growth of one study, and its colour (a CSS value)."""

    name: str
    colour: str
    steps: Sequence[HypervolumeStep]


def growth_svg(series: Sequence[Series]) -> str:
    """Return each study's hypervolume over the work in its trials; a dot where a trial changed it."""
    longest = max((s.steps[-1].seconds for s in series if s.steps), default=0.0) or 1.0
    bottom, top = _span(series)
    unit, name = _unit(longest)
    label = "Hypervolume over work of " + ", ".join(s.name for s in series)

    def x(seconds: float) -> float:
        return LEFT + seconds / longest * (WIDTH - LEFT - RIGHT)

    def y(volume: float) -> float:
        share = max(0.0, (volume - bottom) / (top - bottom))
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" class="plot curve-plot" '
        f'role="group" aria-label={quoteattr(label)}>'
    ]
    for tick in round_values(bottom, top, 6):
        parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="var(--rule)"/>')
        parts.append(
            f'<text class="soft" x="{LEFT - 10}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for tick in round_values(0.0, longest / unit, 9):
        parts.append(
            f'<text class="soft" x="{x(tick * unit):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{tick:g}</text>"
        )
    parts.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{name} of work in trials</text>"
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="axis" transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">'
        "hypervolume</text>"
    )
    for study in series:
        parts += _curve(study, x, y)
    return "".join((*parts, "</svg>"))


def begins_above_zero(series: Sequence[Series]) -> bool:
    """Return whether the upright axis of `growth_svg` leaves out 0, which a reader must be told."""
    return _span(series)[0] > 0


def _span(series: Sequence[Series]) -> tuple[float, float]:
    """Return the ends of the upright axis.

    The first trials soon give most of the hypervolume: the axis begins a little below them, where that is
    above 0.
    """
    known = [step.volume for s in series for step in s.steps if step.volume > 0]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = max(high - low, 0.02 * high)
    return max(0.0, low - 0.3 * room), high + 0.1 * room


def _curve(series: Series, x: Scale, y: Scale) -> list[str]:
    path, dots, before = "", [], 0.0
    for place, step in enumerate(series.steps, 1):
        if step.volume == before:
            continue
        px, py = x(step.seconds), y(step.volume)
        path += f"H{px:.1f}V{py:.1f}" if path else f"M{px:.1f} {py:.1f}"
        text = (
            f"{series.name}, trial {step.number} ({place} of {len(series.steps)} to end)\n"
            f"hypervolume {step.volume:.4f} after {formatting.duration(step.seconds)}"
        )
        spoken = quoteattr(text.replace("\n", "; "))
        dots.append(
            f'<g class="dot-hover" tabindex="0" role="img" aria-label={spoken}>'
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{series.colour}"/>'
            f'<circle class="hit" cx="{px:.1f}" cy="{py:.1f}" r="9"/><title>{escape(text)}</title></g>'
        )
        before = step.volume
    if path:
        path += f"H{x(series.steps[-1].seconds):.1f}"
    line = f'<path d="{path}" fill="none" stroke="{series.colour}" stroke-width="1.8"/>'
    return [line, *dots]


def _unit(seconds: float) -> tuple[float, str]:
    """Return the unit that suits so many seconds, and its name."""
    for size, name in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return size, name
    return 1.0, "seconds"
