"""Console for tables, and the table of plain rows."""

from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 110  # where stdout is no terminal


def console() -> Console:
    """Return a console on stdout that takes text as it is: brackets in it are the text's own."""
    return Console(highlight=False, markup=False, width=None if Console().is_terminal else WIDTH)


def show_rows(rows: list[dict[str, Any]]) -> None:
    """Print what `sweeper list` found."""
    table = Table()
    for name in rows[0] if rows else ("name", "summary", "source"):
        table.add_column(name.replace("_", " "), no_wrap=name == "name")
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in row.values()))
    console().print(table)
