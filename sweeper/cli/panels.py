"""Commands about panels: reconstructions beside private references for readers, and their answers."""

import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Literal

import click

from sweeper.cli.options import UserPath, home_option, study_name


class Export(click.Command):
    """The command `export STUDY`, whose first word may be the name of another command, `panels`.

    A study called panels is reached with its options first: ``sweeper export --trial 3 -o DIR panels``; and
    where nothing but options follows the word, as in ``sweeper export panels --trial 3 -o DIR``.
    """

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return the context of the command that `args` ask for."""
        if args[:1] == ["panels"] and not _is_a_study(args[1:]):
            return panels.make_context(f"{info_name} panels", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


def _is_a_study(rest: list[str]) -> bool:
    """Return whether the word panels before `rest` names a study: no other name follows, but options do."""
    if not rest or "--help" in rest:
        return False
    context = click.Context(panels, resilient_parsing=True)
    try:
        options, _, _ = panels.make_parser(context).parse_args(list(rest))
    except click.UsageError:
        return False
    values: MutableMapping[str, Any] = options
    return not isinstance(values.get("study"), str)


@click.command(epilog="Example: sweeper export panels quickstart -o panels")
@click.argument("study")
@click.option("--trial", type=click.IntRange(min=0), help="The trial to show (default: its front).")
@click.option(
    "--against",
    type=click.IntRange(min=0),
    help="Another trial: readers choose which of the two is closer, within 60 s.",
)
@click.option(
    "-o",
    "output",
    type=UserPath(path_type=Path),
    required=True,
    metavar="DIR",
    help="A new or empty folder.",
)
@click.option("--panels", "most", type=click.IntRange(min=0), help="Reconstructions at most (default: all).")
@click.option(
    "--controls",
    type=click.IntRange(min=0),
    help="Genuine panels, and as many impostor and swapped ones (default: one of each for every person, 10 "
    "at least).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is drawn, and the order.")
@home_option
def panels(
    study: str,
    trial: int | None,
    against: int | None,
    output: Path,
    most: int | None,
    controls: int | None,
    seed: int,
    home: str | None,
) -> None:
    """Write panels of STUDY for readers: a reconstruction beside four private images of the person.

    DIR gets an image of each panel, panels.html to answer them on with the keyboard, without any network, and
    panels.csv for a program to fill in. Among them are controls: private images that were not trained on, of
    the person or of another, and reconstructions of somebody else; they measure the readers. `sweeper import
    answers` takes the answers back.
    """
    from sweeper.cli.console import warn
    from sweeper.results.panels.export import export_panels
    from sweeper.storage.home import open_home

    place = open_home(home)
    exported = export_panels(
        place,
        study_name(study),
        output,
        trial=trial,
        against=against,
        most=most,
        control=controls,
        seed=seed,
    )
    click.echo(
        f"panels: {exported.folder.resolve()} ({exported.panels}, {exported.controls} of them controls; "
        "open panels.html, or fill in panels.csv)"
    )
    click.echo(f"key: {exported.key} (do not hand it out: it says which panel is what)")
    click.echo(f"answers: sweeper import answers {exported.study} FILE {place.option}")
    warn(
        [
            f"private images of {exported.people} people left the home because you asked for panels: they "
            f"are in {exported.folder}; hand it to nobody who may not see them, and delete it afterwards"
        ]
    )


@click.group(name="import", epilog="Example: sweeper import answers quickstart answers.csv")
def import_() -> None:
    """Take in what was made outside: answers of readers to panels."""


@import_.command(epilog="Example: sweeper import answers quickstart answers.csv --reader first")
@click.argument("study")
@click.argument("file", type=UserPath(path_type=Path))
@click.option("--reader", help="Who gave the answers whose row names nobody (default: the file's name).")
@click.option("-f", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@home_option
def answers(
    study: str, file: Path, reader: str | None, form: Literal["text", "json"], home: str | None
) -> None:
    """Keep the answers in FILE to panels of STUDY, as those of another judge.

    FILE is CSV with the columns panel and answer (yes, no, or refused; of two images first, second or none),
    and reader if there are several. Rows without an answer are left out. Anything wrong in it is named, and
    nothing is kept then.
    """
    from sweeper.results.panels.answers import import_answers
    from sweeper.results.panels.show import sentences
    from sweeper.storage.home import open_home

    imported = import_answers(open_home(home), study_name(study), file, reader=reader)
    if form == "json":
        click.echo(json.dumps(imported.figures, indent=1))
        return
    left_out = f", {imported.unanswered} without an answer left out" if imported.unanswered else ""
    click.echo(f"answers: {imported.added} added{left_out}")
    for sentence in sentences(imported.figures):
        click.echo(sentence)
