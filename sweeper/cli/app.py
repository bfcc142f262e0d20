"""The command line: results to stdout, progress to stderr; exit 0 done, 1 failure, 2 a mistake to correct."""

import csv
import errno
import json
import shlex
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Literal, NoReturn, ParamSpec, TypeVar

import click

from trainables import __version__
from trainables.errors import ConfigError, DiskError, TrialError

LISTS = ("attacks", "defenses", "architectures", "datasets", "spaces", "presets")

_home = click.option("--home", metavar="DIR", help="Folder of all state (SWEEPER_HOME; default ./sweeps).")
_set = click.option(
    "-S", "overrides", metavar="PATH.TO.KEY=VALUE", multiple=True, help="Override a value of the study file."
)


P = ParamSpec("P")
R = TypeVar("R")


def errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that a user can cause or meet into one message and an exit code."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            _fail(str(error), 2)
        except (DiskError, TrialError) as error:
            _fail(str(error.strerror or error) if isinstance(error, DiskError) else str(error), 1)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            _fail("the disk is full; free space and start again: finished work is kept", 1)
        raise AssertionError("unreachable")

    return guarded


def _fail(text: str, code: int) -> None:
    click.echo(f"error: {text}", err=True)
    sys.exit(code)


@click.group(epilog="Example: sweeper quickstart")
@click.version_option(__version__, prog_name="sweeper")
def main() -> None:
    """Search freeze depths and defenses of a classifier against model-inversion attacks."""


@main.command(epilog="Example: sweeper run quickstart --trials 4 -S search.sampler=random --dry-run")
@click.argument("study")
@click.option("--trials", type=click.IntRange(min=1), help="How many results (overrides search.trials).")
@click.option("--address", help="An existing Ray cluster, host:port or auto (RAY_ADDRESS).")
@_home
@_set
@click.option("--dry-run", is_flag=True, help="Show the resolved study and its cost, and stop.")
@errors
def run(
    study: str,
    trials: int | None,
    address: str | None,
    home: str | None,
    overrides: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Run STUDY (a YAML file or a preset), or take it up where it stopped."""
    _run(study, trials, address, home, overrides, dry_run)


@main.command(epilog="Example: sweeper quickstart --home /tmp/first-sweep")
@_home
@errors
def quickstart(home: str | None) -> None:
    """Run a small complete sweep on rendered faces: minutes on a laptop, nothing to download."""
    _run("quickstart", None, None, home, (), False)
    click.echo("\nNext: `sweeper list presets`, or write a study file of your own and `sweeper run` it.")


def _run(
    reference: str,
    trials: int | None,
    address: str | None,
    home: str | None,
    overrides: tuple[str, ...],
    dry_run: bool,
) -> None:
    from sweeper.cli.tables import show
    from sweeper.engine.progress import display
    from sweeper.storage.home import open_home
    from sweeper.study.loading import load_study

    place = open_home(home)
    if not dry_run:
        place.prepare()
    study = load_study(reference, overrides=overrides, trials=trials)
    if dry_run:
        from sweeper.cli.plan import show_plan

        show_plan(study, place)
        return
    from sweeper.engine.sweep import sweep

    try:
        with display() as shown:
            outcome = sweep(study, place, address=address, display=shown)
    except KeyboardInterrupt:
        words = ["run", reference, *(word for item in overrides for word in ("-S", item))]
        words += ["--trials", str(trials)] if trials else []
        _stopped(words, address, home)
    show(outcome, study, place)


@main.command(epilog="Example: sweeper attack model.pt --attack gmi:cpu --study quickstart")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--attack", "attacks", metavar="NAME[:PRESET]", multiple=True, help="An attack (default: the study's)."
)
@click.option(
    "--study",
    default="quickstart",
    show_default=True,
    help="A study file or preset: data, architecture, prior, judge.",
)
@click.option("-f", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@_home
@_set
@errors
def attack(
    checkpoint: Path,
    attacks: tuple[str, ...],
    study: str,
    form: Literal["table", "json"],
    home: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Attack one trained target: CHECKPOINT is a state dict, ours or torchvision's, or an exported folder."""
    from sweeper.cli.attack import attack as assault
    from sweeper.cli.attack import show_attack
    from sweeper.engine.progress import display
    from sweeper.storage.home import open_home

    with display() as shown:
        found = assault(checkpoint, attacks, study, open_home(home), shown, overrides)
    if form == "json":
        click.echo(json.dumps(found, indent=1))
        return
    show_attack(found)


def _stopped(words: list[str], address: str | None, home: str | None) -> NoReturn:
    """Say how to go on after Ctrl-C, and exit."""
    words = ["sweeper", *words, *(["--address", address] if address else [])]
    words += ["--home", home] if home else []
    click.echo(f"stopped; finished trials are kept. Go on with: {shlex.join(words)}", err=True)
    sys.exit(130)


@main.command(epilog="Example: sweeper confirm quickstart --seeds 3")
@click.argument("study")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Fresh measurements that each trial shall have.",
)
@click.option(
    "--attacks",
    multiple=True,
    metavar="ATTACK",
    help="Further attacks: names, name:preset, or a YAML mapping such as '{kind: gmi, iterations: 300}'.",
)
@click.option(
    "--near",
    type=click.IntRange(min=0),
    help="Trials beside the front, the nearest first (default: as many as are on it).",
)
@click.option("--address", help="An existing Ray cluster, host:port or auto (RAY_ADDRESS).")
@_home
@errors
def confirm(
    study: str, seeds: int, attacks: tuple[str, ...], near: int | None, address: str | None, home: str | None
) -> None:
    """Measure the front of STUDY again, under fresh seeds, and say who is truly on it."""
    from sweeper.cli.tables import show_front, show_warnings
    from sweeper.engine.confirm import confirm as measure
    from sweeper.engine.confirm import parse_attacks
    from sweeper.engine.progress import display
    from sweeper.results.records import check_exists
    from sweeper.storage.home import open_home
    from sweeper.study.loading import stored_study

    place, name = open_home(home), study_name(study)
    check_exists(place, name)
    template = stored_study(place.study(name))
    further = parse_attacks(attacks)
    try:
        with display() as shown:
            found = measure(
                template, place, seeds=seeds, attacks=further, near=near, address=address, display=shown
            )
    except KeyboardInterrupt:
        words = ["confirm", study, "--seeds", str(seeds), *(w for a in attacks for w in ("--attacks", a))]
        words += ["--near", str(near)] if near is not None else []
        _stopped(words, address, home)
    show_front(found.records)
    show_warnings(found.records, found.failures)
    if found.left_out:
        numbers = ", ".join(map(str, found.left_out))
        click.echo(f"near the front within their intervals, but not measured (--near): trials {numbers}")
    click.echo(f"report:  {place.report(name)}")


@main.command(epilog="Example: sweeper pick quickstart --max-attack-accuracy 0.4")
@click.argument("study")
@click.option("--max-attack-accuracy", type=float, help="Take the most accurate trial that leaks no more.")
@click.option("--min-accuracy", type=float, help="Take the trial that leaks least and is as accurate.")
@click.option("-f", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_home
@errors
def pick(
    study: str,
    max_attack_accuracy: float | None,
    min_accuracy: float | None,
    form: Literal["text", "json"],
    home: str | None,
) -> None:
    """Name the trial of STUDY to release under a limit, how sure that is, and what would make it surer."""
    from sweeper.results.pick import pick as choose
    from sweeper.results.pick import show_pick
    from sweeper.results.records import study_records
    from sweeper.storage.home import open_home

    records = study_records(open_home(home), study_name(study), history=False)
    found = choose(records, max_attack_accuracy=max_attack_accuracy, min_accuracy=min_accuracy)
    if form == "json":
        click.echo(json.dumps(found, indent=1))
    else:
        show_pick(found)


@main.command(epilog="Example: sweeper export quickstart --trial 3 -o release")
@click.argument("study")
@click.option("--trial", "number", type=click.IntRange(min=0), required=True, help="The trial to release.")
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="A new or empty folder.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Which of the seeds that it was trained under.")
@_home
@errors
def export(study: str, number: int, output: Path, seed: int | None, home: str | None) -> None:
    """Write a target of STUDY: weights, labels, and a model card with all that was measured."""
    from sweeper.results.export import export as release
    from sweeper.storage.home import open_home

    folder = release(open_home(home), study_name(study), number, output, replicate=seed)
    click.echo(f"released: {folder.resolve()} (README.md says how to load it)")


@main.command(epilog="Example: sweeper front quickstart -f csv > front.csv")
@click.argument("study")
@click.option("-f", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@_home
@errors
def front(study: str, form: Literal["table", "json", "csv"], home: str | None) -> None:
    """Show the trials of STUDY that no other trial beats, and the hypervolume."""
    from sweeper.results.records import flat_row, study_records
    from sweeper.storage.home import open_home

    records = study_records(open_home(home), study_name(study), history=False)
    if form == "json":
        click.echo(json.dumps(records, indent=1))
        return
    if form == "csv":
        write_csv([flat_row(trial) for trial in records["trials"]])
        return
    from sweeper.cli.tables import show_front

    show_front(records)


@main.command(epilog="Example: sweeper compare freeze_faces bido_faces -o comparison.html")
@click.argument("studies", nargs=-1, required=True)
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write an HTML report.")
@click.option("-f", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option(
    "--published",
    "queries",
    metavar="COLUMN=VALUE,...",
    multiple=True,
    help="Show published points beside the studies, as attack=KEDMI,architecture=VGG16.",
)
@click.option("--force", is_flag=True, help="Compare studies of other data, judges or attacks all the same.")
@_home
@errors
def compare(
    studies: tuple[str, ...],
    output: Path | None,
    form: Literal["table", "json", "csv"],
    queries: tuple[str, ...],
    force: bool,
    home: str | None,
) -> None:
    """Compare the fronts of STUDIES against one reference point."""
    from sweeper.results.compare import compare as comparison
    from sweeper.results.comparison import load, rows
    from sweeper.results.published import points
    from sweeper.storage.home import open_home

    published = [record for query in queries for record in points(query)]
    records = load(open_home(home), [study_name(name) for name in studies], history=output is not None)
    found = comparison(records, published=published, force=force)
    if output is not None:
        from sweeper.report.report import write_report

        try:
            write_report(records, output, images=False, comparison=found, published=published)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ConfigError(
                f"expected a report file that can be written, got {output} ({error.strerror})"
            ) from None
        click.echo(f"report: {output.resolve()}", err=True)
    if form == "json":
        click.echo(json.dumps(found, indent=1))
        return
    if form == "csv":
        write_csv(rows(found))
        return
    from sweeper.cli.comparison_table import show_comparison

    show_comparison(found)


@main.group(epilog="Example: sweeper prepare stylegan2 ffhq.pkl -o ffhq.safetensors")
def prepare() -> None:
    """Make files of published ones, once, for studies to use."""


@prepare.command("stylegan2", epilog="Example: sweeper prepare stylegan2 ffhq.pkl -o ffhq.safetensors")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "output", type=click.Path(path_type=Path), help="The new file (default: FILE with .safetensors)."
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@errors
def prepare_stylegan2(file: Path, output: Path | None, force: bool) -> None:
    """Convert FILE, a .pkl of StyleGAN2-ADA in PyTorch, without running what is in it."""
    from sweeper.cli.convert import prepare_stylegan2 as convert
    from sweeper.cli.convert import show_stylegan2

    click.echo(f"reading {file}", err=True)
    show_stylegan2(convert(file, output, force=force))


@main.command("list", epilog="Example: sweeper list defenses -f json")
@click.argument("what", type=click.Choice(LISTS))
@click.option("-f", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@errors
def list_(what: str, form: Literal["table", "json"]) -> None:
    """List what there is: names, one-line summaries, source papers."""
    from sweeper.cli.registry import rows

    found: list[dict[str, Any]] = rows(what)
    if form == "json":
        click.echo(json.dumps(found, indent=1))
        return
    from sweeper.cli.tables import show_rows

    show_rows(found)


@main.command(epilog="Example: sweeper log quickstart --rebuild")
@click.argument("study")
@click.option("--rebuild", is_flag=True, help="Delete the study's runs in MLflow and write all of them anew.")
@_home
@errors
def log(study: str, rebuild: bool, home: str | None) -> None:
    """Write what MLflow lacks of STUDY, from the stored study."""
    from sweeper.results.records import study_records
    from sweeper.storage.home import open_home
    from sweeper.study.loading import stored_study
    from sweeper.tracking.mlflow_tracker import Tracker, check_reachable

    place = open_home(home)
    records = study_records(place, study_name(study))
    check_reachable(place.tracking)
    tracker = Tracker(stored_study(place.study(records["study"])), place, afresh=rebuild)
    report = place.report(records["study"])
    tracker.finish(records, report if report.exists() else None)
    if tracker.problem:
        _fail(tracker.problem, 1)
    click.echo(f"MLflow at {place.tracking} has {len(records['trials'])} trials of '{records['study']}'")


@main.command(epilog="Example: sweeper ui --port 5001")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@_home
@errors
def ui(port: int, home: str | None) -> None:
    """Open MLflow on this home, at 127.0.0.1 only. Ctrl-C ends it."""
    from sweeper.storage.home import open_home
    from sweeper.tracking.mlflow_server import serve

    serve(open_home(home), port)


def study_name(reference: str) -> str:
    """Return the name of the stored study that `reference` means: itself, or the name in a study file."""
    path = Path(reference)
    if path.suffix not in (".yaml", ".yml"):
        return reference
    from trainables.storage.documents import read_yaml

    return str(read_yaml(path).get("name", path.stem))


def write_csv(rows: list[dict[str, Any]]) -> None:
    """Write rows to stdout; a column that only some rows have is empty in the others."""
    writer = csv.DictWriter(sys.stdout, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
