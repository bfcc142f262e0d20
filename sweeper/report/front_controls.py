"""What a front is held against, in its plot: lines at floor and ceiling, crosses of stopped targets."""

from collections.abc import Iterator, Sequence

from sweeper.report.axis import Axis
from sweeper.report.point_labels import Box, Labels, overlap
from sweeper.report.text_width import text_width
from sweeper.results import formatting
from sweeper.results.comparing.fronts import finished, front
from sweeper.results.controls.texts import stopped_after
from sweeper.results.record_types import StudyRecords

SIZE = 12  # of the font of levels, in pixels
LINE = 15  # between two levels that would cover each other


def levels(records: Sequence[StudyRecords], x: Axis, y: Axis, labels: Labels) -> Iterator[str]:
    """Yield lines at the floor and the ceiling that a single study measured, or else at a guess.

    A guess is drawn where all trials know its attack accuracy and agree. What is written at the lines goes
    into `labels`, so that no point's label covers it.
    """
    if x.name != "attack_accuracy":
        return
    controls = {name: rate for name, _, _, rate, _ in formatting.controls(records[0].controls)}
    shown: dict[str, float] = {name: controls[name] for name in ("floor", "ceiling") if name in controls}
    if len(records) > 1 or "floor" not in shown:
        known = {trial.metrics.get("chance") for record in records for trial in finished(record)}
        chance = known.pop() if len(known) == 1 else None
        shown = {} if chance is None else {"chance": chance}
    taken: list[Box] = []
    for name, level in shown.items():
        if x.low < level < x.high:
            at, text = x(level), f"{name} {x.word(level)}"
            # Past the middle the text stands before its line: after it, the frame would cut it.
            before = at > (x.start + x.end) / 2
            box = _box(at, text, y.end + 12, before)
            while any(overlap(box, other) for other in taken):
                box = (box[0], box[1] + LINE, box[2], box[3] + LINE)
            taken.append(box)
            anchor = ' text-anchor="end"' if before else ""
            yield f'<path d="M{at:.1f} {y.end}V{y.start}" stroke="var(--soft)" stroke-dasharray="6 4"/>'
            yield (
                f'<text class="soft level" x="{at - 5 if before else at + 5:.1f}" y="{box[3] - 3:.1f}"'
                f"{anchor}>{text}</text>"
            )
    labels.boxes += taken


def _box(at: float, text: str, baseline: float, before: bool) -> Box:
    wide = text_width(text, SIZE)
    left = at - 5 - wide if before else at + 5
    return left, baseline - 10, left + wide, baseline + 3


def crosses(records: Sequence[StudyRecords], x: Axis, y: Axis, labels: Labels) -> Iterator[str]:
    """Yield a cross for each undefended target that a single study stopped, tied to its trials.

    `labels` learns of both, to leave them visible.
    """
    if len(records) > 1 or (x.name, y.name) != ("attack_accuracy", "test_accuracy"):
        return
    drawn: set[str] = set()
    for trial in front(records[0]):
        if trial.stopped is None:
            continue
        px, py = x(trial.stopped[x.name]), y(trial.stopped[y.name])
        qx, qy = x(trial.values[x.name]), y(trial.values[y.name])
        labels.ties.append((px, py, qx, qy))
        yield (
            f'<path d="M{px:.1f} {py:.1f}L{qx:.1f} {qy:.1f}" stroke="var(--soft)" stroke-dasharray="1 3"/>'
        )
        cross = f"M{px - 4:.1f} {py - 4:.1f}l8 8m-8 0l8 -8"
        if cross not in drawn:
            drawn.add(cross)
            labels.avoid(px, py)
            yield (
                f'<path class="stopped" d="{cross}" stroke="var(--ink)" stroke-width="1.6" fill="none">'
                f"<title>undefended, stopped after epoch {stopped_after(trial.stopped)}</title></path>"
            )
