"""The command that looks at finished attacks beyond their metrics."""

import json
from pathlib import Path
from typing import Any, Literal

import click

from sweeper.cli.options import home_option, overrides_option, study_name


@click.command(epilog="Example: sweeper analyze evaluator_confidence quickstart")
@click.argument("name")
@click.argument("reference", metavar="STUDY|CHECKPOINT")
@click.option(
    "--trial", "trials", type=int, multiple=True, help="A trial of STUDY, repeatable (default: its front)."
)
@click.option(
    "--study",
    default="quickstart",
    show_default=True,
    help="For CHECKPOINT: a study file or preset with data, architecture, prior, attacks, judge.",
)
@click.option("-f", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@home_option
@overrides_option
def analyze(
    name: str,
    reference: str,
    trials: tuple[int, ...],
    study: str,
    form: Literal["table", "json"],
    home: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Look at finished attacks with the analysis NAME; see `sweeper list analyses`.

    The attacks are those of a stored STUDY, or of --study on a CHECKPOINT. A figure is measured once; asked
    for again it is read.
    """
    from sweeper.engine.analyze import analyze as measure
    from sweeper.engine.progress import display
    from sweeper.storage.home import open_home

    with display() as shown:
        analyzed = measure(
            name,
            study_name(reference) if Path(reference).is_file() else reference,
            open_home(home),
            shown,
            trials=trials,
            study=study,
            overrides=overrides,
        )
    if form == "json":
        click.echo(json.dumps(analyzed, indent=1))
        return
    show_analysis(analyzed)


def show_analysis(analyzed: dict[str, Any]) -> None:
    """Print the columns of the analysis, a row for every attack of every trial; warnings to stderr."""
    from rich.table import Table

    from sweeper.cli.console import console, warn
    from trainables.analyses import ANALYSES

    columns = ANALYSES[analyzed["analysis"]].columns
    table = Table(title=analyzed["analysis"], title_justify="left")
    for column in ("trial", "attack", *columns):
        table.add_column(column.replace("_", " "))
    for row in analyzed["rows"]:
        number = "" if row["trial"] is None else str(row["trial"])
        table.add_row(number, row["attack"], *(_cell(row, column) for column in columns))
    console().print(table)
    warn(analyzed["warnings"])


def _cell(row: dict[str, Any], column: str) -> str:
    value, interval = row[column], row.get(f"{column}_interval")
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{text} [{', '.join(f'{end:.3g}' for end in interval)}]" if interval else text
