"""Commands beside a sweep: one attack, files to prepare, what there is to choose from, MLflow."""

import json
from contextlib import closing
from pathlib import Path
from typing import Literal

import click

from sweeper.cli.errors import fail
from sweeper.cli.options import UserPath, home_option, overrides_option, study_name

LISTS = (
    "attacks",
    "defenses",
    "architectures",
    "datasets",
    "priors",
    "judges",
    "pretraining",
    "metrics",
    "analyses",
    "spaces",
    "recipes",
    "presets",
)


@click.command(epilog="Example: sweeper attack model.pt --attack gmi:cpu --study quickstart")
@click.argument("checkpoint", type=UserPath(path_type=Path))
@click.option(
    "--attack",
    "attacks",
    metavar="NAME[:PRESET]",
    multiple=True,
    help="An attack, with the knobs of the study's attack of that name, or of PRESET (default: the study's).",
)
@click.option(
    "--study",
    default="quickstart",
    show_default=True,
    help="A study file or preset: data, architecture, prior, judge.",
)
@click.option(
    "--labels",
    type=UserPath(path_type=Path),
    help="Names of the target's classes in its order: JSON list or mapping, or text (default: those of an "
    "exported folder, else the people's sorted names).",
)
@click.option("--dry-run", is_flag=True, help="Print the attacks, whether the target fits, and the cost.")
@click.option("-f", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@home_option
@overrides_option
def attack(
    checkpoint: Path,
    attacks: tuple[str, ...],
    study: str,
    labels: Path | None,
    dry_run: bool,
    form: Literal["table", "json"],
    home: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Attack one trained target: CHECKPOINT is a state dict, ours or torchvision's, or an exported folder."""
    from sweeper.cli.attack import attack as run_attacks
    from sweeper.cli.attack import show_attack, show_attack_plan
    from sweeper.engine.progress import display
    from sweeper.storage.home import open_home

    if dry_run:
        show_attack_plan(checkpoint, attacks, study, overrides, labels)
        return
    with display() as shown:
        measured = run_attacks(checkpoint, attacks, study, open_home(home), shown, overrides, labels)
    if form == "json":
        click.echo(json.dumps(measured, indent=1))
        return
    show_attack(measured)


class Preparations(click.Group):
    """What can be prepared: a published checkpoint, or a data set that is read from its published layout."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        from sweeper.cli.registry import published_datasets

        return [*super().list_commands(ctx), *published_datasets()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command `cmd_name`, None if there is none."""
        from sweeper.cli.registry import published_datasets

        own = super().get_command(ctx, cmd_name)
        datasets = {} if own else published_datasets()
        return dataset_command(cmd_name, datasets[cmd_name]) if cmd_name in datasets else own


@click.group(cls=Preparations, epilog="Example: sweeper prepare celeba --root data/celeba")
def prepare() -> None:
    """Make files of published ones, once, or check a published data set and note its labels and hashes."""


def dataset_command(kind: str, summary: str) -> click.Command:
    """Return the command that checks the data set `kind`."""

    @click.command(
        kind, help=f"Check {summary}.", epilog=f"Example: sweeper prepare {kind} --root data/{kind}"
    )
    @click.option("--root", required=True, type=UserPath(path_type=Path), help="The folder of the data set.")
    @click.option("-S", "knobs", metavar="KNOB=VALUE", multiple=True, help="A knob, as in a study.")
    @click.option("--partial", is_flag=True, help="A part of it is meant: other counts are no error.")
    @click.option("-f", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
    @home_option
    def command(
        root: Path, knobs: tuple[str, ...], partial: bool, form: Literal["table", "json"], home: str | None
    ) -> None:
        from sweeper.cli.convert import prepare_dataset, show_dataset
        from sweeper.storage.home import open_home

        click.echo(f"reading {root}", err=True)
        note = prepare_dataset(kind, root, open_home(home), knobs, partial=partial)
        if form == "json":
            click.echo(json.dumps(note, indent=1))
            return
        show_dataset(note)

    return command


@prepare.command("stylegan2", epilog="Example: sweeper prepare stylegan2 ffhq.pkl -o ffhq.safetensors")
@click.argument("file", type=UserPath(path_type=Path))
@click.option(
    "-o", "output", type=UserPath(path_type=Path), help="The new file (default: FILE with .safetensors)."
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def prepare_stylegan2(file: Path, output: Path | None, force: bool) -> None:
    """Convert FILE, a .pkl of StyleGAN2-ADA in PyTorch, without running what is in it."""
    from sweeper.cli.convert import prepare_stylegan2 as convert
    from sweeper.cli.convert import show_stylegan2

    click.echo(f"reading {file}", err=True)
    show_stylegan2(convert(file, output, force=force))


@click.command("list", epilog="Example: sweeper list datasets image_folder")
@click.argument("what", type=click.Choice(LISTS))
@click.argument("name", required=False)
@click.option("-f", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def list_(what: str, name: str | None, form: Literal["table", "json"]) -> None:
    """List what there is: names, one-line summaries, source papers; with NAME, the knobs of that one."""
    from sweeper.cli.registry import BESIDE, details, rows

    if name is not None:
        entry = details(what, name)
        if form == "json":
            click.echo(json.dumps(entry, indent=1))
            return
        from sweeper.cli.console import show_entry

        show_entry(entry)
        return
    listed = rows(what)
    if form == "json":
        click.echo(json.dumps(listed, indent=1))
        return
    from sweeper.cli.console import show_rows

    show_rows(listed)
    if what in BESIDE:
        click.echo(BESIDE[what])


@click.command(epilog="Example: sweeper log quickstart --rebuild")
@click.argument("study")
@click.option("--rebuild", is_flag=True, help="Delete the study's runs in MLflow and write all of them anew.")
@home_option
def log(study: str, rebuild: bool, home: str | None) -> None:
    """Write what MLflow lacks of STUDY, from the stored study."""
    from sweeper.results.records import check_exists, study_records
    from sweeper.storage.databases import check_tracking
    from sweeper.storage.home import open_home
    from sweeper.study.loading import stored_study
    from sweeper.tracking.mlflow_address import check_reachable
    from sweeper.tracking.mlflow_tracker import Tracker
    from trainables.storage.urls import redact

    place = open_home(home)
    name = study_name(study)
    check_exists(place, name)
    check_reachable(place.tracking)
    check_tracking(place.tracking, place.storage)
    with place.driver(name):  # a sweep of the study writes the same runs
        records = study_records(place, name)
        resolved = stored_study(place.study(name)).as_begun(records.definition)
        report = place.report(name)
        with closing(Tracker(resolved, place, afresh=rebuild)) as tracker:
            tracker.finish(records, report if report.exists() else None)
    if tracker.problem:
        fail(tracker.problem, 1)
    click.echo(f"MLflow at {redact(place.tracking)} has {len(records.trials)} trials of '{records.study}'")


@click.command(epilog="Example: sweeper ui --port 5001")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@home_option
def ui(port: int, home: str | None) -> None:
    """Open MLflow on this home, at 127.0.0.1 only. Ctrl-C ends it."""
    from sweeper.storage.home import open_home
    from sweeper.tracking.mlflow_server import serve

    code = serve(open_home(home), port)
    if code:
        fail(f"MLflow's server ended with exit code {code}; what it said stands above", 1)
