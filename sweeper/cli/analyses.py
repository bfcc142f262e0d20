"""The command that looks at finished attacks beyond their metrics."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sweeper.cli.options import home_option, overrides_option, study_name
from trainables.errors import ConfigError

if TYPE_CHECKING:
    from sweeper.report.analyses import Table


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
@click.option(
    "--suggest",
    is_flag=True,
    help="Of `layers`: the freeze point that its shares propose, and by which rule.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Of `layers`: an SVG to write, a panel of bars for every row.",
)
@click.option("--address", help="An existing Ray cluster, host:port or auto (RAY_ADDRESS).")
@click.option("-f", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@home_option
@overrides_option
def analyze(
    name: str,
    reference: str,
    trials: tuple[int, ...],
    study: str,
    suggest: bool,
    plot: Path | None,
    address: str | None,
    form: Literal["table", "json"],
    home: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Look at finished attacks, or at trainings, with the analysis NAME; see `sweeper list analyses`.

    The attacks are those of a stored STUDY, or of --study on a CHECKPOINT. A figure is measured once; asked
    for again it is read. `false_positives` compares every trial with the first, by default the undefended.
    """
    from sweeper.engine.analyze import analyze as measure
    from sweeper.engine.progress import display
    from sweeper.storage.home import open_home

    _check_layers(name, suggest, plot)
    with display() as shown:
        analyzed = measure(
            name,
            study_name(reference) if Path(reference).is_file() else reference,
            open_home(home),
            shown,
            trials=trials,
            study=study,
            overrides=overrides,
            address=address,
        )
    if plot:
        from sweeper.report.layers_plot import layers_svg

        plot.write_text(layers_svg(analyzed["rows"]), encoding="utf-8")
    if form == "json":
        click.echo(json.dumps(analyzed, indent=1))
        return
    show_analysis(analyzed)
    if suggest:
        show_suggestions(analyzed["rows"])


def _check_layers(name: str, suggest: bool, plot: Path | None) -> None:
    """Raise `ConfigError` for an option of `layers` beside another analysis, and for an unfit place."""
    option = "--suggest" if suggest else "--plot" if plot else ""
    if option and name != "layers":
        raise ConfigError(f"{option} belongs to analysis 'layers'; got '{name}'; leave it out")
    if plot and not plot.resolve().parent.is_dir():
        raise ConfigError(f"expected a folder {plot.resolve().parent}, got none (--plot); make it first")


def show_analysis(analyzed: dict[str, Any]) -> None:
    """Print the columns of the analysis, a row for every attack of every trial; warnings to stderr."""
    from sweeper.cli.console import console, warn
    from sweeper.report.analyses import comparison_table, conclusions, figures_table, limits

    out, name = console(), analyzed["analysis"]
    _show(name, figures_table(name, analyzed["rows"]))
    comparisons = analyzed.get("comparisons")
    if comparisons:
        _show("person by person, against the first trial", comparison_table(comparisons))
        for sentence in conclusions(comparisons):
            out.print(sentence)
    out.print(limits(name))
    warn(analyzed["warnings"])


def show_suggestions(rows: list[dict[str, Any]]) -> None:
    """Print the freeze point that each row of `layers` proposes, and by which rule."""
    from sweeper.cli.console import console

    out = console()
    for row in rows:
        who = "target" if row["trial"] is None else f"trial {row['trial']}"
        out.print(f"{who}, {row['attack']}: freeze up to {row['suggested_freeze_point']}")
    out.print(
        "rule: the freeze point where the frozen layers' share of inversion's Fisher information (L2) "
        "exceeds their share of classification's most. A proposal, not a measurement: attack a target so "
        "trained."
    )


def _show(title: str, shown: "Table") -> None:
    """Print a table of texts."""
    from rich.table import Table as Grid

    from sweeper.cli.console import console

    grid = Grid(title=title, title_justify="left")
    for column in shown.columns:
        grid.add_column(column)
    for row in shown.rows:
        grid.add_row(*("\n".join(cell) for cell in row))
    console().print(grid)
