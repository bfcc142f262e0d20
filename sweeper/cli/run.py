"""Commands that measure: a sweep, the small sweep to start with, and the front again under fresh seeds."""

from typing import TYPE_CHECKING

import click

from sweeper.cli.options import home_option, overrides_option, study_name
from trainables.errors import TrialError

if TYPE_CHECKING:
    from sweeper.study.study import Study


@click.command(epilog="Example: sweeper run quickstart --trials 4 -S search.sampler=random --dry-run")
@click.argument("study")
@click.option("--trials", type=click.IntRange(min=1), help="How many results (overrides search.trials).")
@click.option("--address", help="An existing Ray cluster, host:port or auto (RAY_ADDRESS).")
@home_option
@overrides_option
@click.option("--dry-run", is_flag=True, help="Show the resolved study and its cost, and stop.")
@click.option("--anyway", is_flag=True, help="Go on though the judge recognises next to nobody.")
def run(
    study: str,
    trials: int | None,
    address: str | None,
    home: str | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    anyway: bool,
) -> None:
    """Run STUDY (a YAML file or a preset), or take it up where it stopped."""
    if dry_run:
        _show_plan(study, trials, home, overrides)
    else:
        _run(study, trials, address, home, overrides, anyway)


@click.command(epilog="Example: sweeper quickstart --home /tmp/first-sweep")
@home_option
def quickstart(home: str | None) -> None:
    """Run a small complete sweep on rendered faces: minutes on a laptop, nothing to download."""
    _run("quickstart", None, None, home, ())
    click.echo("\nNext: `sweeper list presets`, or write a study file of your own and `sweeper run` it.")


@click.command(epilog="Example: sweeper confirm quickstart --seeds 3")
@click.argument("study")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="Fresh training seeds that each trial shall have.  [default: 3]",
)
@click.option(
    "--fresh",
    multiple=True,
    metavar="PART",
    help="What is measured anew: seeds, split, prior, judge (default: seeds and, if it is trained, judge).",
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
@home_option
def confirm(
    study: str,
    seeds: int | None,
    fresh: tuple[str, ...],
    attacks: tuple[str, ...],
    near: int | None,
    address: str | None,
    home: str | None,
) -> None:
    """Measure the front of STUDY again, under fresh seeds and a fresh judge, and say who is truly on it."""
    from sweeper.cli.tables import show_front, show_warnings
    from sweeper.engine.confirm import SEEDS, parse_attacks
    from sweeper.engine.confirm import confirm as measure
    from sweeper.engine.freshness import parse_fresh
    from sweeper.engine.progress import display
    from sweeper.results.machines import confirmation_warning
    from sweeper.results.records import check_exists
    from sweeper.storage.home import open_home
    from sweeper.study.loading import stored_study

    place, name = open_home(home), study_name(study)
    check_exists(place, name)
    template = stored_study(place.study(name))
    further, parts = parse_attacks(attacks), parse_fresh(fresh)
    if seeds is None and (parts is None or "seeds" in parts):
        seeds = SEEDS
    with display() as shown:
        confirmation = measure(
            template,
            place,
            seeds=seeds,
            attacks=further,
            near=near,
            fresh=parts,
            address=address,
            display=shown,
        )
    show_front(confirmation.records)
    show_warnings(confirmation.records, [*confirmation_warning(confirmation.records), *confirmation.failures])
    if confirmation.left_out:
        numbers = ", ".join(map(str, confirmation.left_out))
        click.echo(f"near the front within their intervals, but not measured (--near): trials {numbers}")
    click.echo(f"report:  {place.report(name)}")
    if confirmation.measured < confirmation.planned:
        missing = confirmation.planned - confirmation.measured
        raise TrialError(f"{missing} of {confirmation.planned} measurements failed; start again to try them")


def _run(
    reference: str,
    trials: int | None,
    address: str | None,
    home: str | None,
    overrides: tuple[str, ...],
    anyway: bool = False,
) -> None:
    from sweeper.cli.tables import show
    from sweeper.engine.progress import display
    from sweeper.storage.home import open_home
    from sweeper.study.loading import load_study

    place = open_home(home)
    study = load_study(reference, overrides=overrides, trials=trials)
    _check_published(study, reference)
    place.prepare()
    from sweeper.engine.sweep import sweep
    from sweeper.study.checks import known_warnings

    for text in known_warnings(study):
        click.echo(f"WARNING: {text}", err=True)
    with display() as shown:
        outcome = sweep(study, place, address=address, display=shown, anyway=anyway)
    show(outcome, study, place)
    if outcome.failure:
        raise TrialError(outcome.failure)


def _show_plan(reference: str, trials: int | None, home: str | None, overrides: tuple[str, ...]) -> None:
    from sweeper.cli.plan import show_form, show_plan
    from sweeper.storage.home import open_home
    from sweeper.study.loading import described_study, load_study
    from trainables.errors import MissingError

    place = open_home(home)
    try:
        study = load_study(reference, overrides=overrides, trials=trials)
    except MissingError:  # without what it names a study can still be read
        described = described_study(reference, overrides=overrides, trials=trials)
        _check_published(described, reference)
        show_form(described)
        raise
    _check_published(study, reference)
    place.prepare()  # for the contact sheet, and to find out here what the sweep would
    show_plan(study, place)


def _check_published(study: "Study", reference: str) -> None:
    """Raise `ConfigError` for a row of papers that there is none of, before it is looked for to be shown."""
    from sweeper.results.comparing.published import check_queries

    check_queries(study.published, reference)
