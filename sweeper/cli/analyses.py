"""The command that looks at finished attacks beyond their metrics, or at sets of trials that it runs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:  # scipy takes a moment
    from rich.console import Console

    from sweeper.analyses.measure import StudyAnalyzed
    from sweeper.report.analyses import Table

from sweeper.cli.options import UserPath, check_folder_of, home_option, overrides_option, study_name
from trainables.errors import ConfigError, TrialError

STUDY_WIDTH = 150  # where stdout is no terminal: figures with their intervals fit


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
    help="Of `layers`, `accuracy_control`, `layer_roles`, `pretraining`: an SVG to write.",
)
@click.option(
    "--dry-run", is_flag=True, help="Of sets of trials: show the derived study and its cost, and stop."
)
@click.option("--seeds", type=click.IntRange(min=1), help="Of sets of trials: training seeds.  [default: 3]")
@click.option(
    "--freeze-point",
    "freeze_points",
    multiple=True,
    metavar="POINT",
    help="Of sets of trials: a freeze point, repeatable (default: the study's, else all).",
)
@click.option(
    "--epoch",
    "epochs",
    type=int,
    multiple=True,
    help="Of `accuracy_control`, `defenses`, `layer_roles`, `pretraining`: an epoch to attack targets of, "
    "repeatable.",
)
@click.option(
    "--variants",
    type=UserPath(dir_okay=False, path_type=Path),
    help="Of `pretraining`: a YAML mapping of names to pre-trainings.",
)
@click.option(
    "--defense",
    "defenses",
    multiple=True,
    metavar="KIND",
    help="Of `defenses`: one to compare, repeatable (default: all that fit and are installed).",
)
@click.option("--address", help="An existing Ray cluster, host:port or auto (RAY_ADDRESS).")
@click.option("--anyway", is_flag=True, help="Of sets of trials: go on though the judge says nothing.")
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
    dry_run: bool,
    seeds: int | None,
    freeze_points: tuple[str, ...],
    epochs: tuple[int, ...],
    variants: Path | None,
    defenses: tuple[str, ...],
    address: str | None,
    anyway: bool,
    form: Literal["table", "json"],
    home: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Look at finished attacks, or at trainings, with the analysis NAME; see `sweeper list analyses`.

    The attacks are those of a stored STUDY, or of --study on a CHECKPOINT. A figure is measured once; asked
    for again it is read. `false_positives` compares every trial with the first, by default the undefended.

    Six analyses compare sets of trials, which they run first, as a study of its own that is derived from
    STUDY, a study file, a preset or a stored study; started again, it goes on: `accuracy_control`,
    `defenses`, `frozen_batchnorm`, `layer_roles`, `pretraining` and `threat_models`.
    """
    from sweeper.cli.registry import analyses, study_analyses

    name = name.replace("-", "_")
    given = {
        option: value
        for option, value in (
            ("--seeds", seeds),
            ("--freeze-point", freeze_points),
            ("--epoch", epochs),
            ("--variants", variants),
            ("--defense", defenses),
        )
        if value
    }
    _check_plot(name, suggest, plot)
    if name in study_analyses():
        if trials:
            raise ConfigError(f"analysis '{name}' runs trials of its own; leave out --trial")
        _run_study(name, reference, given, home, overrides, dry_run, address, anyway, plot, form)
        return
    for option, value in {**given, "--dry-run": dry_run, "--anyway": anyway}.items():
        if value:
            raise ConfigError(
                f"{option} belongs to the analyses {', '.join(study_analyses())}; got '{name}'; leave it out"
            )
    from sweeper.engine.analyze import analyze as measure
    from sweeper.engine.progress import display
    from sweeper.storage.home import open_home
    from trainables.storage.documents import suggestion

    known = analyses()
    if name not in known:
        raise ConfigError(
            f"expected an analysis, one of {', '.join(known)}; got '{name}'{suggestion(name, known)}"
        )
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


PLOTTED = ("layers", "accuracy_control", "layer_roles", "pretraining")


def _check_plot(name: str, suggest: bool, plot: Path | None) -> None:
    """Raise `ConfigError` for an option of other analyses, and for an unfit place."""
    having = ("layers",) if suggest else PLOTTED if plot else ()
    if having and name not in having:
        owner = f"analysis '{having[0]}'" if len(having) == 1 else f"the analyses {', '.join(having)}"
        raise ConfigError(
            f"{'--suggest' if suggest else '--plot'} belongs to {owner}; got '{name}'; leave it out"
        )
    if plot:
        check_folder_of(plot, "--plot")


def _run_study(
    name: str,
    reference: str,
    given: dict[str, Any],
    home: str | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    address: str | None,
    anyway: bool,
    plot: Path | None,
    form: Literal["table", "json"],
) -> None:
    """Derive, run and show a study analysis; given: by option, what it sets."""
    from sweeper.analyses.measure import analyze_study, derive_study, make_analysis
    from sweeper.cli.console import warn
    from sweeper.engine.progress import display
    from sweeper.storage.home import open_home
    from sweeper.study.checks import known_warnings
    from trainables.storage.documents import read_yaml

    if "--variants" in given:
        given = {**given, "--variants": read_yaml(given["--variants"])}
    analysis, place = make_analysis(name, given), open_home(home)
    if not dry_run:
        place.prepare()
    study = derive_study(analysis, reference, place, overrides)
    if dry_run:
        from sweeper.cli.plan import show_plan

        show_plan(study, place)
        return
    warn(known_warnings(study))
    with display() as shown:
        analyzed = analyze_study(analysis, study, place, shown, address=address, anyway=anyway)
    if plot:
        from sweeper.report.accuracy_plot import accuracy_svg

        plot.write_text(accuracy_svg(analyzed.conclusion.points), encoding="utf-8")
    if form == "json":
        click.echo(json.dumps(analyzed.to_json(), indent=1))
    else:
        show_study_analysis(analyzed)
    if analyzed.outcome.failure:
        raise TrialError(analyzed.outcome.failure)


def show_study_analysis(analyzed: "StudyAnalyzed") -> None:
    """Print the table, what follows and what does not; warnings of the sweep to stderr."""
    from sweeper.cli.console import console
    from sweeper.cli.tables import show_warnings
    from sweeper.report.analyses import rows_table

    out = console(STUDY_WIDTH)
    _show(analyzed.analysis.kind, rows_table(analyzed.conclusion.rows), out)
    for sentence in analyzed.conclusion.sentences:
        out.print(sentence)
    out.print(f"What this does not show. {analyzed.analysis.does_not_show}")
    show_warnings(analyzed.outcome.records, analyzed.outcome.problems)
    if analyzed.outcome.report is not None:
        out.print(f"report:  {analyzed.outcome.report}")


def show_analysis(analyzed: dict[str, Any]) -> None:
    """Print the columns of the analysis, a row for every attack of every trial; warnings to stderr."""
    from sweeper.cli.console import console, warn
    from sweeper.report.analyses import comparison_table, conclusions, figures_table, limits

    out, name = console(), analyzed["analysis"]
    _show(name, figures_table(name, analyzed["rows"]), out)
    comparisons = analyzed.get("comparisons")
    if comparisons:
        _show("person by person, against the first trial", comparison_table(comparisons), out)
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


def _show(title: str, shown: "Table", out: "Console") -> None:
    """Print a table of texts."""
    from rich.table import Table as Grid

    grid = Grid(title=title, title_justify="left")
    for column in shown.columns:
        grid.add_column(column)
    for row in shown.rows:
        grid.add_row(*("\n".join(cell) for cell in row))
    out.print(grid)
