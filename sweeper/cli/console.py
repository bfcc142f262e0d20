"""Console for tables, and the table of plain rows."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 110  # where stdout is no terminal


def console(width: int = WIDTH) -> Console:
    """Return a console on stdout that takes text as it is: brackets in it are the text's own.

    width: where stdout is no terminal.
    """
    return Console(highlight=False, markup=False, width=None if Console().is_terminal else width)


def warn(texts: Iterable[str]) -> None:
    """Print to stderr what a reader must know before believing the figures on stdout."""
    aside = Console(
        stderr=True, width=None if Console(stderr=True).is_terminal else WIDTH, highlight=False, markup=False
    )
    for text in texts:
        aside.print(f"WARNING: {text}", style="bold red")


def show_rows(rows: list[dict[str, Any]]) -> None:
    """Print what `sweeper list` found."""
    table = Table()
    for name in rows[0] if rows else ("name", "summary", "source"):
        table.add_column(name.replace("_", " "), no_wrap=name == "name")
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in row.values()))
    console().print(table)


def show_entry(entry: dict[str, Any]) -> None:
    """Print what `sweeper list FAMILY NAME` found: what the entry is, and its knobs."""
    out = console()
    for field, value in entry.items():
        if field != "knobs" and value != "":
            out.print(f"{field.replace('_', ' ')}: {value}")
    if not entry["knobs"]:
        out.print("no knobs")
        return
    table = Table()
    headings = {"name": "knob", "values": "takes"}
    for field in entry["knobs"][0]:
        table.add_column(headings.get(field, field), no_wrap=field == "name", overflow="fold")
    for knob in entry["knobs"]:
        table.add_row(*(str(value) for value in knob.values()))
    out.print(table)
