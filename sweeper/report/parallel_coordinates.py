"""Trials as lines across their parameters and objectives: one SVG, and what a page needs to filter it.

A line passes below the axis of a parameter that its trial does not have. Every line knows where it crosses
each axis (``data-y``, -1 where it passes below), so that a script can pick lines without knowing what they
mean.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from sweeper.report.text_width import shorten, text_width
from sweeper.results import formatting
from sweeper.results.trial_record import TrialRecord
from sweeper.statistics.round_numbers import round_values

WIDTH, HEIGHT = 880, 330
LEFT, RIGHT, TOP, BOTTOM = 56, 70, 56, 34
BELOW = HEIGHT - BOTTOM + 16  # where lines pass an axis that they do not cross
MOST = 9  # axes; of more parameters, those that most trials have
TICKS = 7
LOGARITHMIC = 30.0
TITLE_SIZE, TICK_SIZE = 13.0, 11.0  # pixels, as the style sheet has them
TICK_HEIGHT = 13.0  # between the baselines of two labels
ROWS, MOST_TITLE = 2, 170.0
SPACE = 8.0  # between two texts in a row


class Column(NamedTuple):
    """One axis: its name, where it stands, its ticks (label, y), and where a trial crosses it (or None).

    direction: of an objective; None for a parameter.
    """

    name: str
    x: float
    direction: str | None
    ticks: list[tuple[str, float]]
    place: Callable[[TrialRecord], float | None]


def parallel_svg(
    trials: Sequence[TrialRecord],
    objectives: Mapping[str, str],
    on_front: set[int],
    colour: Callable[[TrialRecord], str],
    prefix: str = "0",
) -> str:
    """Return finished `trials` as lines; those of `on_front` are strong. "" if no parameter varies.

    colour: of a trial's line. prefix: of the ``data-trial`` attribute, ``<prefix>-<number>``.
    """
    names = varied(trials)
    if not names or not trials:
        return ""
    names = [*names[: max(1, MOST - len(objectives))], *objectives]
    gap = (WIDTH - LEFT - RIGHT) / max(1, len(names) - 1)
    columns = [
        _column(name, LEFT + gap * position, trials, objectives.get(name))
        for position, name in enumerate(names)
    ]
    lines = [_line(trial, columns, trial.number in on_front, colour(trial), prefix) for trial in trials]
    lines.sort(key=lambda line: 'class="line best' in line)  # the front on top
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'class="plot parallel" role="img" aria-label="Trials across parameters and objectives">',
            *lines,
            *(
                _axis(
                    number,
                    column,
                    title,
                    min(gap, WIDTH - column.x) - 2 * SPACE,
                    lacking=any(column.place(trial) is None for trial in trials),
                )
                for number, (column, title) in enumerate(zip(columns, titles(columns), strict=True))
            ),
            "</svg>",
        )
    )


def varied(trials: Sequence[TrialRecord]) -> list[str]:
    """Return the parameters that differ among `trials`, those that most of them have first."""
    seen: dict[str, list[Any]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            seen.setdefault(name, []).append(value)
    differing = [
        name for name, values in seen.items() if len(set(map(str, values))) > 1 or len(values) < len(trials)
    ]
    return sorted(differing, key=lambda name: -len(seen[name]))


def _column(name: str, x: float, trials: Sequence[TrialRecord], direction: str | None) -> Column:
    objective = direction is not None

    def figures(trial: TrialRecord) -> Mapping[str, Any]:
        return trial.values if objective else trial.params

    values = [figures(trial)[name] for trial in trials if name in figures(trial)]
    bottom, height = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    if all(type(v) in (int, float) for v in values) and len(set(values)) > 1:
        low, high = min(values), max(values)
        log = low > 0 and high / low > LOGARITHMIC and not objective
        ticks = _decades(low, high) if log else round_values(low, high, TICKS)

        def level(value: float) -> float:
            share = _log_share(value, low, high) if log else (value - low) / (high - low)
            return bottom - share * height

        label = formatting.value if objective else lambda _, v: f"{v:g}"

        def place(trial: TrialRecord) -> float | None:
            return level(figures(trial)[name]) if name in figures(trial) else None

        return Column(name, x, direction, [(label(name, tick), level(tick)) for tick in ticks], place)
    numbers = {_text(v): v for v in values if type(v) in (int, float)}  # beside words, in their own order
    words = {_text(v) for v in values} - numbers.keys()
    kinds = [*sorted(numbers, key=numbers.__getitem__), *sorted(words, key=natural)]
    step = height / max(1, len(kinds) - 1)
    levels = {kind: bottom - position * step for position, kind in enumerate(kinds)}

    def place_kind(trial: TrialRecord) -> float | None:
        return levels[_text(figures(trial)[name])] if name in figures(trial) else None

    return Column(name, x, direction, list(levels.items()), place_kind)


def _text(value: Any) -> str:
    if value is None:
        return "null"  # as a study file says it
    return formatting.format_number(value) if isinstance(value, list | tuple) else str(value)


def _log_share(value: float, low: float, high: float) -> float:
    return math.log(value / low) / math.log(high / low)


def _decades(low: float, high: float) -> list[float]:
    """Return the powers of ten from `low` to `high`, with `low` and `high` where there are few."""
    powers = [
        10.0**n for n in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    ]
    return powers if len(powers) > 2 else [low, high]


def natural(text: str) -> tuple[Any, ...]:
    """Return a key that sorts ``conv2`` before ``conv10``, and ``none`` before everything."""
    parts = re.split(r"(\d+)", text)
    return (text != "none", *((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts))


def _line(trial: TrialRecord, columns: Sequence[Column], best: bool, colour: str, prefix: str) -> str:
    heights = [column.place(trial) for column in columns]
    places = zip(columns, heights, strict=True)
    path = "M" + "L".join(f"{column.x:.0f} {BELOW if y is None else y:.1f}" for column, y in places)
    known = ",".join("-1" if y is None else f"{y:.0f}" for y in heights)
    kind = "line best" if best else "line"
    name = f"{prefix}-{trial.number}"
    return f'<path class="{kind}" d="{path}" style="stroke:{colour}" data-trial="{name}" data-y="{known}"/>'


def titles(columns: Sequence[Column]) -> list[tuple[str, float, int]]:
    """Return the title of each axis, the middle of it, and its row, 0 at the axis; none covers another.

    A title says the last part of a path, and also the part before where that alone says too little: of a
    family's ``kind`` that part only, and where two axes would have one title both.
    """
    gap = columns[1].x - columns[0].x if len(columns) > 1 else float(WIDTH)
    names = [_name(column.name) for column in columns]
    longer = [
        ".".join(column.name.split(".")[-2:]) if names.count(name) > 1 else name
        for column, name in zip(columns, names, strict=True)
    ]
    rows = [0.0] * ROWS  # where the last title of each row ends
    placed = []
    for column, name in zip(columns, longer, strict=True):
        arrow = {"maximize": " ↑", "minimize": " ↓", None: ""}[column.direction]
        most = min(MOST_TITLE, ROWS * gap - SPACE)
        room = most - text_width(arrow, TITLE_SIZE, bold=True)
        title = shorten(name.replace("_", " "), room, TITLE_SIZE, bold=True) + arrow
        half = text_width(title, TITLE_SIZE, bold=True) / 2
        middle = min(max(column.x, half + 1), WIDTH - half - 1)
        row = next((row for row, end in enumerate(rows) if middle - half >= end + SPACE), ROWS - 1)
        rows[row] = middle + half
        placed.append((title, middle, row))
    return placed


def _name(path: str) -> str:
    """Return what an axis is called for short: "defense" for ``defense.kind``, else the last part."""
    parts = path.split(".")
    return parts[-2] if parts[-1] == "kind" and len(parts) > 1 else parts[-1]


def readable(ticks: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the ticks whose labels are written, from the lowest up, so far apart that none covers one."""
    written: list[tuple[str, float]] = []
    for label, y in sorted(ticks, key=lambda tick: -tick[1]):
        if not written or written[-1][1] - y >= TICK_HEIGHT:
            written.append((label, y))
    return written


def _axis(number: int, column: Column, title: tuple[str, float, int], room: float, *, lacking: bool) -> str:
    """Return an axis with its labels. room: for one, in pixels. lacking: whether lines pass below it."""
    parts = [f'<g class="column" data-column="{number}">']
    parts.append(
        f'<path d="M{column.x:.0f} {TOP}V{HEIGHT - BOTTOM}" stroke="var(--ink)" stroke-opacity=".55"/>'
    )
    for _, y in column.ticks:
        parts.append(f'<path d="M{column.x - 3:.0f} {y:.1f}h6" stroke="var(--ink)" stroke-opacity=".55"/>')
    for label, y in readable(column.ticks):
        text = escape(shorten(label, room, TICK_SIZE))
        parts.append(f'<text class="tag" x="{column.x + 7:.0f}" y="{y + 4:.1f}">{text}</text>')
    if lacking:
        parts.append(f'<text class="tag" x="{column.x:.0f}" y="{BELOW + 14}" text-anchor="middle">–</text>')
    head, middle, row = title
    parts.append(
        f'<text class="axis" x="{middle:.0f}" y="{TOP - 16 - 16 * row}" text-anchor="middle">{escape(head)}'
        f"<title>{escape(column.name)}</title></text>"
    )
    parts.append(
        f'<rect class="brush" x="{column.x - 14:.0f}" y="{TOP - 6}" width="28" '
        f'height="{HEIGHT - BOTTOM - TOP + 12}"/><rect class="picked" x="{column.x - 6:.0f}" width="12" '
        'y="0" height="0"/></g>'
    )
    return "".join(parts)
