"""Analyses as tables, in a terminal and in the report, and what the report says of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sweeper.report.accuracy_plot import accuracy_svg
from sweeper.report.layers_plot import layers_svg
from sweeper.results.comparing.paired_rows import compare_rows
from sweeper.results.comparing.undefended import undefended_trial
from sweeper.results.formatting import undefended
from sweeper.results.record_types import StudyRecords

Row = Mapping[str, Any]
ROUNDING = 1e-12  # a difference of equal means is shown as 0
CONCLUSION = "analysis.json"  # beside the report of a study that an analysis derived
COMPARISON_COLUMNS = ("trial", "against", "attack", "figure", "difference", "p")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts. rows: of each the cells, and of each cell its lines."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Sequence[str]]]


def figures_table(name: str, rows: Sequence[Row]) -> Table:
    """Return the columns of the analysis `name`, a row for every attack of every trial."""
    from trainables.analyses import ANALYSES

    columns = ANALYSES[name].columns
    return Table(
        columns=[column.replace("_", " ") for column in ("trial", "attack", *columns)],
        rows=[
            [[_number(row["trial"])], [row["attack"]], *(_cell(row, column) for column in columns)]
            for row in rows
        ],
    )


def rows_table(rows: Sequence[Row]) -> Table:
    """Return a column for every figure of `rows` that is no interval: those stand beside what they are of."""
    names = dict.fromkeys(key for row in rows for key in row)
    columns = [column for column in names if not column.endswith("_interval")]
    return Table(
        columns=[column.replace("_", " ") for column in columns],
        rows=[[_cell(row, column) for column in columns] for row in rows],
    )


def comparison_table(comparisons: Sequence[Row]) -> Table:
    """Return what paired tests say of each trial beside the first; comparisons: of `compare_rows`."""
    return Table(
        columns=COMPARISON_COLUMNS,
        rows=[
            [
                [text]
                for text in (
                    _number(each["trial"]),
                    _number(each["against"]),
                    each["attack"],
                    figure,
                    f"{test['difference']:+.4g}",
                    f"{test['p']:.3g}",
                )
            ]
            for each in comparisons
            for figure, test in each["tests"].items()
        ],
    )


def conclusions(comparisons: Sequence[Row]) -> list[str]:
    """Return what follows from the comparisons, a sentence for each trial, attack and judge."""
    return [
        f"trial {each['trial']}, {each['attack']}, by judge {judge}: {text}"
        for each in comparisons
        for judge, text in each["conclusion"].items()
    ]


def limits(name: str) -> str:
    """Return what the analysis `name` does not show, as a sentence."""
    from trainables.analyses import ANALYSES

    return f"It does not show {ANALYSES[name].limits}."


def conclusion_beside(report: Path, study: str) -> dict[str, Any] | None:
    """Return what the analysis that derived `study` concluded, as it stands beside the study's report.

    It is the JSON of `sweeper analyze`; None where there is none, or only that of another study.
    """
    try:
        found = json.loads(report.with_name(CONCLUSION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and {"analysis", "rows", "sentences", "does_not_show"} <= found.keys()
    return found if whole and found.get("study") == study else None


def derived_section(concluded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the report says of the analysis that derived its study; concluded: `conclusion_beside`."""
    points = concluded.get("points")
    return {
        "name": concluded["analysis"],
        "summary": "",
        "limits": f"What this does not show. {concluded['does_not_show']}",
        "table": rows_table(concluded["rows"]),
        "comparison": None,
        "conclusions": concluded["sentences"],
        "plot": Markup(accuracy_svg(points)) if points else "",  # escapes what it is given
        "plotted": "Attack accuracy over test accuracy, target by target",
    }


def sections(record: StudyRecords) -> list[dict[str, Any]]:
    """Return what the report says of each analysis of a study; the undefended trial first where one compares.

    It is the one that all tables hold the study against, or else another one that the analysis looked at;
    with a defended trial nothing is compared. Figures of an analysis that this version does not have any more
    are left out.
    """
    if not record.analyses:
        return []
    from trainables.analyses import ANALYSES
    from trainables.analyses.base import Analysis

    best = undefended_trial(record)
    plain = sorted(filter(undefended, record.complete), key=lambda trial: trial is not best)
    shown = []
    for name in (name for name in ANALYSES if name in record.analyses):
        kind, rows = ANALYSES[name], record.analyses[name]
        comparisons: list[dict[str, Any]] = []
        if issubclass(kind, Analysis) and kind.compared:
            measured = {row["trial"] for row in rows}
            reference = next((trial.number for trial in plain if trial.number in measured), None)
            rows = sorted(rows, key=lambda row: row["trial"] != reference)
            comparisons = compare_rows(rows, kind.compared, reference)
        shown.append(
            {
                "name": name,
                "summary": kind.summary,
                "limits": limits(name),
                "table": figures_table(name, rows),
                "comparison": comparison_table(comparisons) if comparisons else None,
                "conclusions": conclusions(comparisons),
                "plot": Markup(layers_svg(rows)) if name == "layers" else "",  # escapes what it is given
                "plotted": "Shares by layer",
            }
        )
    return shown


def _number(trial: int | None) -> str:
    return "" if trial is None else str(trial)


def _cell(row: Row, column: str) -> list[str]:
    """Return the lines of a figure: one, with its interval, or one for each of a list."""
    value, interval = row.get(column), row.get(f"{column}_interval")
    if isinstance(value, list):
        return [_text(each) for each in value]
    ends = f" [{', '.join(f'{end:.3g}' for end in interval)}]" if interval else ""
    return [_text(value) + ends]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{0.0 if abs(value) < ROUNDING else value:.4g}" if isinstance(value, float) else str(value)
