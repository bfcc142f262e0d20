"""Commands that read what was measured: the front, a comparison of fronts, a choice, a release."""

import csv
import errno
import json
import sys
from pathlib import Path
from typing import Any, Literal

import click

from sweeper.cli.options import UserPath, check_folder_of, home_option, study_name
from sweeper.cli.panels import Export
from trainables.errors import ConfigError


@click.command(epilog="Example: sweeper front quickstart -f csv > front.csv")
@click.argument("study")
@click.option("-f", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option("--all", "everything", is_flag=True, help="All trials in the table; JSON and CSV have them.")
@click.option("--people", is_flag=True, help="Also who was recovered, person by person; JSON has them.")
@home_option
def front(
    study: str, form: Literal["table", "json", "csv"], everything: bool, people: bool, home: str | None
) -> None:
    """Show the trials of STUDY that no other trial beats beside the undefended one, and the hypervolume."""
    from sweeper.results.one_data import check_one_data
    from sweeper.results.records import concluded, flat_row, study_records
    from sweeper.storage.home import open_home

    records = study_records(open_home(home), study_name(study), history=False)
    check_one_data(records)
    if form == "json":
        click.echo(json.dumps(concluded(records), indent=1))
        return
    if form == "csv":
        write_csv([flat_row(trial) for trial in records.trials])
        return
    from sweeper.cli.tables import show_front, show_people, show_warnings

    show_front(records, everything=everything)
    if people:
        show_people(records)
    show_warnings(records, [])


@click.command(epilog="Example: sweeper compare freeze_faces bido_faces -o comparison.html")
@click.argument("studies", nargs=-1, required=True)
@click.option("-o", "output", type=UserPath(dir_okay=False, path_type=Path), help="Write an HTML report.")
@click.option("-f", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option(
    "--published",
    "queries",
    metavar="COLUMN=VALUE,...",
    multiple=True,
    help="Show published points beside the studies, as attack=KEDMI,architecture=VGG16.",
)
@click.option("--force", is_flag=True, help="Compare studies of other data, judges or attacks all the same.")
@home_option
def compare(
    studies: tuple[str, ...],
    output: Path | None,
    form: Literal["table", "json", "csv"],
    queries: tuple[str, ...],
    force: bool,
    home: str | None,
) -> None:
    """Compare the fronts of STUDIES against one reference point."""
    from sweeper.results.comparing.compare import compare as compare_fronts
    from sweeper.results.comparing.comparison import load, rows
    from sweeper.results.comparing.published import points
    from sweeper.storage.home import open_home

    if output is not None:
        check_folder_of(output, "-o")
    published = [record for query in queries for record in points(query)]
    records = load(open_home(home), [study_name(name) for name in studies], history=output is not None)
    comparison = compare_fronts(records, published=published, force=force)
    if output is not None:
        from sweeper.report.report import write_report

        try:
            write_report(records, output, images=False, comparison=comparison, published=published)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ConfigError(
                f"expected a report file that can be written, got {output} ({error.strerror})"
            ) from None
        click.echo(f"report: {output.resolve()}", err=True)
    if form == "json":
        click.echo(json.dumps(comparison.to_json(), indent=1))
        return
    if form == "csv":
        write_csv(rows(comparison))
        return
    from sweeper.cli.comparison_table import show_comparison

    show_comparison(comparison)


@click.command(epilog="Example: sweeper pick quickstart --max-attack-accuracy 0.4")
@click.argument("study")
@click.option("--max-attack-accuracy", type=float, help="Take the most accurate trial that leaks no more.")
@click.option("--min-accuracy", type=float, help="Take the trial that leaks least and is as accurate.")
@click.option("--anyway", is_flag=True, help="Pick though the study cannot tell its attack from its floor.")
@click.option("-f", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@home_option
def pick(
    study: str,
    max_attack_accuracy: float | None,
    min_accuracy: float | None,
    anyway: bool,
    form: Literal["text", "json"],
    home: str | None,
) -> None:
    """Name the trial of STUDY to release under a limit, how sure that is, and what would make it surer."""
    from sweeper.results.pick import pick as choose
    from sweeper.results.pick import show_pick
    from sweeper.results.records import study_records
    from sweeper.storage.home import open_home

    records = study_records(open_home(home), study_name(study), history=False)
    choice = choose(
        records, max_attack_accuracy=max_attack_accuracy, min_accuracy=min_accuracy, anyway=anyway
    )
    if form == "json":
        click.echo(json.dumps(choice, indent=1))
    else:
        show_pick(choice, home)


@click.command(cls=Export, epilog="Example: sweeper export quickstart --trial 3 -o release")
@click.argument("study")
@click.option("--trial", "number", type=click.IntRange(min=0), required=True, help="The trial to release.")
@click.option(
    "-o",
    "output",
    type=UserPath(path_type=Path),
    required=True,
    metavar="DIR",
    help="A new or empty folder.",
)
@click.option(
    "--replicate",
    "--seed",
    "replicate",
    type=click.IntRange(min=0),
    help="Which of the seeds that it was trained under.",
)
@home_option
def export(study: str, number: int, output: Path, replicate: int | None, home: str | None) -> None:
    """Write a target of STUDY: weights, labels, and a model card with all that was measured.

    `sweeper export panels STUDY -o DIR` writes its reconstructions for readers instead; a study that is
    called panels is reached with the options first: `sweeper export --trial 3 -o DIR panels`.
    """
    from sweeper.results.export import export as release
    from sweeper.storage.home import open_home

    folder = release(open_home(home), study_name(study), number, output, replicate=replicate)
    click.echo(f"released: {folder.resolve()} (README.md says how to load it)")


def write_csv(rows: list[dict[str, Any]]) -> None:
    """Write rows to stdout; a column that only some rows have is empty in the others."""
    writer = csv.DictWriter(sys.stdout, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
