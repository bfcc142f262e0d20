"""Tables of a comparison, its conclusion, and what to know before believing it."""

from collections.abc import Sequence

from rich.table import Table

from sweeper.cli.console import console, warn
from sweeper.results import formatting
from sweeper.results.comparing.comparison_types import Attained, FrontComparison


def show_comparison(comparison: FrontComparison) -> None:
    """Print a comparison of studies to stdout, and warnings of its trials to stderr."""
    console().print(_studies(comparison))
    if len(comparison.studies) > 1:
        console().print(_dominance(comparison))
    if comparison.attainment:
        console().print(_attainment(comparison))
    if comparison.published:
        console().print(_published(comparison))
    for setup in comparison.published:
        for study, apart in setup.departures.items():
            print(f"set-up of '{study}' against {setup.name}: {'; '.join(apart)}")
        for doubt in setup.doubts:
            print(f"doubtful in {setup.name}: {doubt}")
    for note in comparison.notes:
        print(f"note: {note}")
    print(comparison.outcome)
    warn(
        f"{text} ('{study}', {len(numbers)} {formatting.plural('trial', len(numbers))})"
        for study, texts in comparison.warnings.items()
        for text, numbers in texts.items()
    )


def _studies(comparison: FrontComparison) -> Table:
    point = ", ".join(f"{name} {value:g}" for name, value in comparison.reference_point.items())
    table = Table(title=f"Hypervolume against {point}", title_justify="left")
    table.add_column("study", overflow="fold")
    for column in ("trials", "front", "hypervolume", "without luck [95 %]", "at equal work", "per hour"):
        table.add_column(column, justify="right")
    for study in comparison.studies:
        estimate = study.estimate
        table.add_row(
            study.study,
            str(study.trials),
            str(len(study.front)),
            f"{study.hypervolume:.4f}",
            "" if estimate is None else f"{estimate.value:.3f} {_ends(estimate.interval)}",
            f"{study.at_equal_work:.4f}",
            "" if study.per_hour is None else f"{study.per_hour:.3g}",
        )
    return table


def _dominance(comparison: FrontComparison) -> Table:
    names = [study.study for study in comparison.studies]
    fronts = [study.study for study in comparison.studies if study.front]  # of none nothing is dominated
    table = Table(title="Share of a study's front that a rival dominates", title_justify="left")
    table.add_column("front of", overflow="fold")
    for name in names:
        table.add_column(f"by {name}", justify="right", overflow="fold")
    for name in names:
        shares = (comparison.dominated[name].get(rival) for rival in names)
        cells = ("" if share is None else f"{share:.0%}" if name in fronts else "–" for share in shares)
        table.add_row(name, *cells)
    return table


def _attainment(comparison: FrontComparison) -> Table:
    level, other = comparison.attainment[0].given, comparison.attainment[0].attained
    given = formatting.objective(level)
    title = f"Best {formatting.objective(other)} where {given} is at least as good as this"
    table = Table(title=title, title_justify="left")
    table.add_column(given, justify="right")
    for study in comparison.studies:
        table.add_column(study.study, justify="right", overflow="fold")
    for entry in comparison.attainment:
        cells = []
        for study in comparison.studies:
            best = entry.reached[study.study]
            cells.append(_attained(best, other) if best else "not reached")
        table.add_row(f"{entry.level:g}", *cells)
    return table


def _attained(best: Attained, name: str) -> str:
    """Return a trial's figure `name` with its own interval, and the estimate under its name."""
    text = f"{formatting.decimals(name, best.value, best.interval)}, trial {best.trial}"
    if best.estimate is None:
        return text
    return f"{text}\nwithout luck {best.estimate.value:.3f} {_ends(best.estimate.interval)}"


def _published(comparison: FrontComparison) -> Table:
    table = Table(title="Published points, under conditions of their own", title_justify="left")
    for column in (
        "set-up",
        "defense",
        *(formatting.objective(name) for name in comparison.reference_point),
        "flags",
    ):
        table.add_column(column, overflow="fold")
    for setup in comparison.published:
        for point in setup.points:
            table.add_row(
                setup.name,
                formatting.defense(point),
                *(f"{point.values[name]:.4f}" for name in comparison.reference_point),
                ", ".join(point.flags),
            )
        table.add_section()
    return table


def _ends(interval: Sequence[float]) -> str:
    return f"[{interval[0]:.3f}, {interval[1]:.3f}]"
