"""The front as a picture: one SVG that stands alone, in light and dark, without any script.

Colour tells the defense, or the study where there are several; the shape of a marker always tells the
defense. Points off the front are faint. Bars are 95 % intervals. Published points are hollow, with a dashed
line for each set-up; so is the front of a study that cannot tell. A mouse over a point says what it is.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from sweeper.report.axis import Axis, axis_for
from sweeper.report.front_controls import crosses, levels
from sweeper.report.markers import marker
from sweeper.report.point_labels import Labels
from sweeper.results import formatting
from sweeper.results.comparing.fronts import finished, front
from sweeper.results.comparing.published import PublishedRecords, PublishedTrial
from sweeper.results.comparing.undefended import undefended_trial
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord
from sweeper.statistics.pareto import non_dominated

WIDTH, HEIGHT = 880, 540
LEFT, RIGHT, TOP, BOTTOM = 70, 26, 58, 60  # margins around the axes
LEGEND_LINE = 20
HINT = "faint: dominated · bars: 95 % interval"
FAINT_BARS = 80  # with more points than this, only those on the front show their interval, if not too many
LABELLED = 24  # points of the front that get a label; of more, every second, third ... one

LIGHT = ("#44546a", "#c2492f", "#1f8a70", "#7a5aa6", "#b07d1e", "#2f7fb5", "#a8456f", "#6d7b34")
DARK = ("#a9b7c9", "#f08a6c", "#56c7a7", "#b99be6", "#e0b456", "#72b8ea", "#e58ab1", "#b3c26b")
FIRST = ("none", "bido", "mid")  # their colours and shapes stay the same from plot to plot


def hue(place: int) -> str:
    """Return the colour of a place among defenses, studies or stages, as a variable of `style`."""
    return f"var(--c{place % len(LIGHT)})"


def style() -> str:
    """Return the style sheet of the plot; colours are variables, so that a page can use them too."""
    light = "".join(f"--c{i}:{colour};" for i, colour in enumerate(LIGHT))
    dark = "".join(f"--c{i}:{colour};" for i, colour in enumerate(DARK))
    return (
        f".plot{{{light}--ink:#1c2430;--soft:#66707f;--rule:#e3e7ec;--paper:#ffffff;"
        "font-family:Inter,'Helvetica Neue',Helvetica,Arial,'Liberation Sans',sans-serif}"
        f"@media (prefers-color-scheme:dark){{.plot{{{dark}--ink:#e8ecf1;--soft:#97a3b3;--rule:#2b333e;"
        "--paper:#161b22}}"
        ".plot text{fill:var(--ink);font-size:12px}.plot .soft{fill:var(--soft)}"
        ".plot .axis{font-size:13px;font-weight:600}"
        ".plot .tag{font-size:11.5px}"
        ".plot .tag,.plot .level{paint-order:stroke;stroke:var(--paper);stroke-width:3px}"
        ".plot .point{stroke:var(--paper);stroke-width:1.4}"
        ".plot .point.off{fill-opacity:.3;stroke:none}"
        ".plot .bar{stroke-width:1.5;stroke-opacity:.6}.plot .bar.off{stroke-opacity:.16}"
        ".plot .printed{fill:var(--paper);stroke-width:1.8}.plot .printed.off{stroke-opacity:.45}"
        ".plot .hit{fill:transparent;cursor:default}.plot a .hit{cursor:pointer}"
        ".plot g.trial:hover .point,.plot a:focus .point{fill-opacity:1;stroke:var(--ink);stroke-width:2}"
        ".plot g.trial:hover .bar,.plot a:focus .bar{stroke-opacity:1}"
    )


def front_svg(
    records: Sequence[StudyRecords],
    *,
    published: Sequence[PublishedRecords] = (),
    links: Sequence[str] = (),
    title: str | None = None,
) -> str:
    """Return the fronts of `records` (at least one) as one SVG document.

    published: records of `published.points`, drawn beside them. links: what the ids of a record's trials
    begin with on the page around the plot, one for each of `records`: each point becomes a link to its
    ``#<link><number>``. title: the accessible name; made from the studies' names if not given.
    """
    objectives = records[0].objectives
    x_name = "attack_accuracy" if "attack_accuracy" in objectives else list(objectives)[-1]
    y_name = next((name for name in objectives if name != x_name), x_name)
    shown = [*records, *published]
    everyone = [trial for record in shown for trial in finished(record)]
    x = axis_for(x_name, objectives[x_name], everyone, LEFT, WIDTH - RIGHT)
    y = axis_for(y_name, objectives[y_name], everyone, HEIGHT - BOTTOM, TOP)
    kinds = families(shown)
    several = len(shown) > 1
    crowd = len(everyone) > FAINT_BARS
    below: list[str] = []
    above: list[str] = []
    labels = Labels((LEFT, TOP - 16, WIDTH - 4, HEIGHT - BOTTOM))
    for number, record in enumerate(shown):
        best = front(record)
        # Hollow: published figures, and those of a study that cannot tell its attack from its floor.
        printed = isinstance(record, PublishedRecords) or record.verdict == "cannot tell"
        numbers = {trial.number for trial in best}
        if len(objectives) == 2 and best:
            colour = hue(number + several) if several else "var(--ink)"
            below += _staircase(_ahead(best, objectives), x, y, colour, printed)
        for trial in finished(record):
            on_front = trial.number in numbers
            colour = hue(number + 1 if several else kinds[formatting.family(trial)])
            name = f"{number}-{trial.number}"
            bars = len(best) <= FAINT_BARS if on_front else not crowd
            mark = _trial(trial, record, name, x, y, colour, kinds, on_front, bars, printed)
            if number < len(links):
                spoken = quoteattr(_hover(trial, record).replace("\n", "; "))
                mark = f'<a href="#{links[number]}{trial.number}" aria-label={spoken}>{mark}</a>'
            (above if on_front else below).append(mark)
            labels.avoid(x(trial.values[x_name]), y(trial.values[y_name]))
    against = [*levels(records, x, y, labels), *crosses(records, x, y, labels)]
    named = [] if several else _labelled(records[0])
    for trial, name in zip(named, _names(named), strict=True):
        labels.add(x(trial.values[x_name]), y(trial.values[y_name]), name)
    label = title or "Front of " + ", ".join(record.study for record in shown)
    legend, lines = _legend(shown, kinds, several)
    higher = LEGEND_LINE * (lines - 1)  # more lines of legend go on top
    role = "group" if links else "img"  # what is in an img nobody can reach, so links need a group
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {-higher} {WIDTH} {HEIGHT + higher}" '
            f'class="plot" role="{role}" aria-label={quoteattr(label)}><style>{style()}</style>',
            f'<rect y="{-higher}" width="{WIDTH}" height="{HEIGHT + higher}" fill="var(--paper)"/>',
            *_frame(x, y),
            *against,
            *legend,
            *below,
            *above,
            *labels.drawn,
            "" if everyone else _empty(),
            "</svg>",
        )
    )


def _labelled(record: StudyRecords) -> list[TrialRecord]:
    """Return the trials whose points get a label: the front, and one undefended trial as the reference."""
    best = front(record)
    best = best[:: max(1, math.ceil(len(best) / LABELLED))]
    if not any(formatting.undefended(trial) for trial in best):
        best += [trial for trial in finished(record) if trial is undefended_trial(record)]
    return best


def _names(trials: Sequence[TrialRecord]) -> list[str]:
    """Return the labels of points: freeze points, and after them the knobs in which points differ that mark
    and freeze point do not tell apart."""
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for trial in trials:
        key = (formatting.family(trial), formatting.short(trial))
        alike.setdefault(key, []).append(formatting.knobs_beside(trial))
    telling = dict.fromkeys(
        path
        for knobs in alike.values()
        for path in dict.fromkeys(path for some in knobs for path in some)
        if any(some.get(path) != knobs[0].get(path) for some in knobs)
    )

    def name(trial: TrialRecord) -> str:
        knobs = formatting.knobs_beside(trial)
        values = ((path.rpartition(".")[2], knobs[path]) for path in telling if path in knobs)
        said = (
            value if isinstance(value, str) else f"{end} {formatting.format_number(value, 3)}"
            for end, value in values
        )
        return ", ".join((formatting.short(trial), *said))

    return [name(trial) for trial in trials]


def families(records: Sequence[StudyRecords]) -> dict[str, int]:
    """Return each defense's place among colours and shapes."""
    met = {formatting.family(trial) for record in records for trial in finished(record)}
    order = [*FIRST, *sorted(met - set(FIRST))]
    return {kind: order.index(kind) for kind in order if kind in met}


def _frame(x: Axis, y: Axis) -> Iterator[str]:
    for tick in x.ticks:
        yield f'<path d="M{x(tick):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="var(--rule)"/>'
        yield (
            f'<text class="soft" x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 19}" text-anchor="middle">'
            f"{x.word(tick)}</text>"
        )
    for tick in y.ticks:
        yield f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="var(--rule)"/>'
        yield (
            f'<text class="soft" x="{LEFT - 10}" y="{y(tick) + 4:.1f}" text-anchor="end">'
            f"{y.word(tick)}</text>"
        )
    better = {"minimize": "← lower is better", "maximize": "higher is better →"}
    yield (
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">'
        f'{escape(formatting.objective(x.name))} <tspan class="soft" font-weight="400" dx="6">'
        f"{better[x.direction]}</tspan></text>"
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield (
        f'<text class="axis" transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">'
        f'{escape(formatting.objective(y.name))} <tspan class="soft" font-weight="400" dx="6">'
        f"{better[y.direction]}</tspan></text>"
    )


def _legend(shown: Sequence[StudyRecords], kinds: dict[str, int], several: bool) -> tuple[list[str], int]:
    """Return the legend, and how many lines it takes; the last one ends with the hint."""
    items: list[tuple[str, str, int]] = []  # a drawing at the origin, its label, how far the label is in
    for number, record in enumerate(shown if several else ()):
        dashes = ' stroke-dasharray="5 4"' if isinstance(record, PublishedRecords) else ""
        colour = hue(number + 1)
        items.append((f'<path d="M0 0h22" stroke="{colour}" stroke-width="3"{dashes}/>', record.study, 28))
    for kind, place in kinds.items():
        colour = "var(--ink)" if several else hue(place)
        mark = f'<path class="point" d="{marker(place, 6, 0, 6)}" fill="{colour}"/>'
        items.append((mark, "no defense" if kind == "none" else kind, 18))
    if len(shown) == 1 and any(isinstance(t, TrialRecord) and t.stopped for t in front(shown[0])):
        mark = '<path d="M2 -4l8 8m-8 0l8 -8" stroke="var(--ink)" stroke-width="1.6" fill="none"/>'
        items.append((mark, "undefended, stopped", 18))
    rows: list[list[str]] = [[]]
    at = float(LEFT)
    for mark, label, indent in items:
        wide = indent + 7 * len(label) + 22
        if at + wide > WIDTH - RIGHT and rows[-1]:
            rows.append([])
            at = float(LEFT)
        words_ = f'<text x="{indent}" y="4">{escape(label)}</text>'
        rows[-1].append(f'<g transform="translate({at:.0f} Y)">{mark}{words_}</g>')
        at += wide
    if at > WIDTH - RIGHT - 6.6 * len(HINT) and rows[-1]:
        rows.append([])
    drawn = [
        item.replace(" Y)", f" {22 - LEGEND_LINE * (len(rows) - 1 - line)})", 1)
        for line, row in enumerate(rows)
        for item in row
    ]
    hint = f'<text class="soft" x="{WIDTH - RIGHT}" y="26" text-anchor="end">{HINT}</text>'
    return [*drawn, hint], len(rows)


def _ahead(best: Sequence[TrialRecord], objectives: Mapping[str, str]) -> list[TrialRecord]:
    """Return the members of a front that no other dominates as drawn: validation images may choose more."""
    rows = [[trial.values[name] for name in objectives] for trial in best]
    keep = non_dominated(rows, list(objectives.values()))
    return [trial for trial, ahead in zip(best, keep, strict=True) if ahead]


def _staircase(best: Sequence[TrialRecord], x: Axis, y: Axis, colour: str, printed: bool) -> Iterator[str]:
    """Yield the border of what the front dominates: dashed where it only goes on to the axes' ends."""
    points = sorted((x(t.values[x.name]), y(t.values[y.name])) for t in best)
    if x.direction == "maximize":
        points.reverse()
    far_x = WIDTH - RIGHT if x.direction == "minimize" else LEFT
    far_y = HEIGHT - BOTTOM if y.direction == "maximize" else TOP
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for px, py in points[1:]:
        path += f"H{px:.1f}V{py:.1f}"
    area = f"M{points[0][0]:.1f} {far_y}V{points[0][1]:.1f}{path[path.find('H') :] if 'H' in path else ''}"
    line = 'fill="none" stroke-width="1.5" stroke-linejoin="round" stroke-opacity='
    if printed:
        yield f'<path d="{path}" stroke="{colour}" stroke-dasharray="5 4" {line}".7"/>'
        return
    yield f'<path d="{area}H{far_x}V{far_y}Z" fill="{colour}" fill-opacity=".045"/>'
    yield f'<path d="{path}" stroke="{colour}" {line}".8"/>'
    ends = f"M{points[0][0]:.1f} {points[0][1]:.1f}V{far_y}M{points[-1][0]:.1f} {points[-1][1]:.1f}H{far_x}"
    yield f'<path d="{ends}" stroke="{colour}" stroke-dasharray="2 4" {line}".55"/>'


def _trial(
    trial: TrialRecord,
    record: StudyRecords,
    name: str,
    x: Axis,
    y: Axis,
    colour: str,
    kinds: dict[str, int],
    on_front: bool,
    bars: bool,
    printed: bool,
) -> str:
    px, py = x(trial.values[x.name]), y(trial.values[y.name])
    off = "" if on_front else " off"
    parts = [f'<g class="trial" data-trial="{name}">']
    for axis in (x, y):
        ends = trial.interval.get(axis.name)
        if ends and bars:
            path = _bar(axis(ends[0]), axis(ends[1]), py if axis is x else px, flat=axis is x)
            parts.append(f'<path class="bar{off}" d="{path}" stroke="{colour}"/>')
    shape = marker(kinds[formatting.family(trial)], px, py, 6.5 if on_front else 5)
    if printed:
        parts.append(f'<path class="point printed{off}" d="{shape}" style="stroke:{colour}"/>')
    else:
        parts.append(f'<path class="point{off}" d="{shape}" fill="{colour}"/>')
    parts.append(f'<circle class="hit" cx="{px:.1f}" cy="{py:.1f}" r="11"/>')
    parts.append(f"<title>{escape(_hover(trial, record))}</title></g>")
    return "".join(parts)


def _bar(low: float, high: float, at: float, *, flat: bool) -> str:
    """Return the path of an interval bar with caps, so that it is not taken for a step of the front."""
    if flat:
        return f"M{low:.1f} {at - 3.5:.1f}v7M{high:.1f} {at - 3.5:.1f}v7M{low:.1f} {at:.1f}H{high:.1f}"
    return f"M{at - 3.5:.1f} {low:.1f}h7M{at - 3.5:.1f} {high:.1f}h7M{at:.1f} {low:.1f}V{high:.1f}"


def _hover(trial: TrialRecord, record: StudyRecords) -> str:
    if isinstance(trial, PublishedTrial):
        lines = [f"{trial.source}: {record.study}", f"defense: {formatting.defense(trial)}"]
    else:
        lines = [f"{record.study}, trial {trial.number}"]
        lines += [f"frozen to: {formatting.freeze_point(trial)}", f"defense: {formatting.defense(trial)}"]
    people = formatting.attacked(trial)
    for name in record.objectives:
        ends = trial.interval.get(name)
        line = f"{formatting.objective(name)} {formatting.value(name, trial.values[name], people, ends)}"
        ends = formatting.spread(name, trial.values[name], ends, people)
        if ends:
            line += f" ({formatting.value(name, ends[0])} to {formatting.value(name, ends[1])})"
        lines.append(line)
    fresh = trial.confirmed
    if fresh:
        lines += [
            f"{formatting.measured_again(fresh.seeds, fresh.fresh)}: "
            f"{formatting.objective(name)} {formatting.value(name, value, people, fresh.interval.get(name))}"
            for name, value in fresh.values.items()
        ]
        if fresh.front_probability is not None:
            lines.append(f"on the front with probability {fresh.front_probability:.2f}")
    lines += [
        f"searched by {formatting.objective(name)} {formatting.value(name, value)}"
        for name, value in trial.searched.items()
        if name not in record.objectives
    ]
    lines += [f"misses {text} on test images" for text in trial.missed]
    if trial.feasible is False:
        lines.append(trial.reason or "breaks a constraint")
    if isinstance(trial, PublishedTrial):
        lines += [f"doubtful: {flag}" for flag in trial.flags]
    return "\n".join(lines)


def _empty() -> str:
    return (
        f'<text class="soft" x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">'
        "no finished trial yet</text>"
    )
