"""A comparison for people: tables, the sentence that it comes to, and what to know before believing it."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from sweeper.cli.console import console
from sweeper.results import formatting

Found = Mapping[str, Any]


def show_comparison(found: Found) -> None:
    """Print a comparison of studies to stdout."""
    console().print(_studies(found))
    if len(found["studies"]) > 1:
        console().print(_dominance(found))
    if found["attainment"]:
        console().print(_attainment(found))
    if found["published"]:
        console().print(_published(found))
    for one in found["published"]:
        for study, apart in one["departures"].items():
            print(f"set-up of '{study}' against {one['name']}: {'; '.join(apart)}")
        for doubt in one["doubts"]:
            print(f"doubtful in {one['name']}: {doubt}")
    for note in found["notes"]:
        print(f"note: {note}")
    print(found["outcome"])


def _studies(found: Found) -> Table:
    point = ", ".join(f"{name} {value:g}" for name, value in found["reference_point"].items())
    table = Table(title=f"Hypervolume against {point}", title_justify="left")
    table.add_column("study", overflow="fold")
    for column in ("trials", "front", "hypervolume", "without luck [95 %]", "at equal work", "per hour"):
        table.add_column(column, justify="right")
    for study in found["studies"]:
        sure = study["estimate"]
        table.add_row(
            study["study"],
            str(study["trials"]),
            str(len(study["front"])),
            f"{study['hypervolume']:.4f}",
            "" if sure is None else f"{sure['value']:.3f} {_ends(sure['interval'])}",
            f"{study['at_equal_work']:.4f}",
            "" if study["per_hour"] is None else f"{study['per_hour']:.3g}",
        )
    return table


def _dominance(found: Found) -> Table:
    names = [study["study"] for study in found["studies"]]
    table = Table(title="Share of a study's front that a rival dominates", title_justify="left")
    table.add_column("front of", overflow="fold")
    for name in names:
        table.add_column(f"by {name}", justify="right", overflow="fold")
    for name in names:
        shares = (found["dominated"][name].get(rival) for rival in names)
        table.add_row(name, *("" if share is None else f"{share:.0%}" for share in shares))
    return table


def _attainment(found: Found) -> Table:
    (level, _), (other, _) = found["attainment"][0].items()
    table = Table(
        title=f"Best {formatting.objective(other)} at a {formatting.objective(level)} of at least this",
        title_justify="left",
    )
    table.add_column(formatting.objective(level), justify="right")
    for study in found["studies"]:
        table.add_column(study["study"], justify="right", overflow="fold")
    for entry in found["attainment"]:
        (_, wanted), (_, reached) = entry.items()
        cells = []
        for study in found["studies"]:
            best = reached[study["study"]]
            spread = f" {_ends(best['interval'])}" if best and best["interval"] else ""
            cells.append(f"{best['value']:.3f}{spread}, trial {best['trial']}" if best else "not reached")
        table.add_row(f"{wanted:g}", *cells)
    return table


def _published(found: Found) -> Table:
    table = Table(title="Published points, under conditions of their own", title_justify="left")
    for column in (
        "set-up",
        "defense",
        *(formatting.objective(name) for name in found["reference_point"]),
        "flags",
    ):
        table.add_column(column, overflow="fold")
    for one in found["published"]:
        for point in one["points"]:
            table.add_row(
                one["name"],
                formatting.defense(point),
                *(f"{point['values'][name]:.4f}" for name in found["reference_point"]),
                ", ".join(point["flags"]),
            )
        table.add_section()
    return table


def _ends(interval: list[float]) -> str:
    return f"[{interval[0]:.3f}, {interval[1]:.3f}]"
