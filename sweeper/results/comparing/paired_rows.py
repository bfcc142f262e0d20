"""Figures of an analysis compared between trials, person by person."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sweeper.statistics.contrasts import holm
from sweeper.statistics.paired import PairedTest, paired_test

Row = Mapping[str, Any]
PER_IDENTITY = "_per_identity"


def compare_rows(rows: Sequence[Row], names: Sequence[str], reference: int | None) -> list[dict[str, Any]]:
    """Return each row beside the reference's of the same attack, and what a paired test says of every figure.

    rows: of `analyze`. reference: number of the trial that the others are held against; where it has no row
    of an attack, none of that attack is compared. names: figures that have ``NAME_per_identity``, or
    ``NAME_per_identity.JUDGE`` for each judge. A comparison is ``{"trial", "against", "attack", "identities",
    "tests": {figure: {"difference", "p", "first_only", "second_only"}}, "conclusion": text by judge}``;
    difference: this trial less the reference. The people are those of both; a row without such is left out.
    Conclusions are those of `conclude`, where the figures are there that it asks for; of each figure all
    conclusions together hold at 5 % (Holm), while every ``p`` is that of its own test.
    """
    compared: list[tuple[dict[str, Any], dict[str, PairedTest]]] = []
    beside = {row["attack"]: row for row in rows if row["trial"] == reference}
    for row in rows:
        other = beside.get(row["attack"])
        if other is None or row["trial"] == reference:
            continue
        common = sorted(set(row["labels"]) & set(other["labels"]))
        if not common:
            continue
        tests = {
            name: paired_test(_rates(row, name, common), _rates(other, name, common))
            for name in figures_of(row, other, names)
        }
        found = {
            "trial": row["trial"],
            "against": reference,
            "attack": row["attack"],
            "identities": len(common),
            "tests": {
                name: {
                    "difference": test.difference,
                    "p": test.p,
                    "first_only": test.first_only,
                    "second_only": test.second_only,
                }
                for name, test in tests.items()
            },
        }
        compared.append((found, tests))
    adjusted = _adjusted([tests for _, tests in compared])
    return [
        found | {"conclusion": _conclusions(tests)}
        for (found, _), tests in zip(compared, adjusted, strict=True)
    ]


def _adjusted(compared: Sequence[Mapping[str, PairedTest]]) -> list[dict[str, PairedTest]]:
    """Return the tests with p adjusted for all of the same figure, of whatever trial, attack and judge."""
    places: dict[str, list[tuple[int, str]]] = {}
    for number, tests in enumerate(compared):
        for name in tests:
            places.setdefault(name.partition(".")[0], []).append((number, name))
    adjusted = [dict(tests) for tests in compared]
    for same in places.values():
        p = holm([compared[number][name].p for number, name in same])
        for (number, name), value in zip(same, p, strict=True):
            adjusted[number][name] = replace(compared[number][name], p=value)
    return adjusted


def _conclusions(tests: Mapping[str, PairedTest]) -> dict[str, str]:
    judges = [name.partition(".")[2] for name in tests if name.startswith("false_positives.")]
    return {
        judge: conclude(tests[f"recognised.{judge}"], tests[f"false_positives.{judge}"], tests["sure"])
        for judge in judges
    }


def conclude(recognised: PairedTest, false_positives: PairedTest, sure: PairedTest) -> str:
    """Return what a defense did to attacks, as far as the tests carry it; each test is defended less
    undefended."""
    if not (recognised.differ and recognised.difference < 0):
        return "no fewer people are recognised, as far as the test can tell"
    moved = false_positives.differ and false_positives.difference > 0
    fewer = sure.differ and sure.difference < 0
    if moved and fewer:
        return "fewer are recognised; some attacks fail against the target, others became false positives"
    if moved:
        return (
            "fewer are recognised, and attacks moved into false positives; the target is not shown to be "
            "less sure"
        )
    if fewer:
        if false_positives.differ:
            return "fewer are recognised, and attacks fail against the target itself; fewer false positives"
        return (
            "fewer are recognised, and attacks fail against the target itself; whether false positives rise "
            "the test cannot tell"
        )
    return "fewer are recognised; whether as failures or as false positives the tests cannot tell"


def figures_of(row: Row, reference: Row, names: Sequence[str]) -> list[str]:
    """Return the figures that both rows have for each person, as ``NAME`` or ``NAME.JUDGE``."""
    figures = []
    for key in row:
        name, mark, judge = key.partition(PER_IDENTITY)
        if mark and name in names and key in reference:
            figures.append(f"{name}{judge}")
    return figures


def _rates(row: Row, figure: str, people: Sequence[int]) -> list[float]:
    name, dot, judge = figure.partition(".")
    values = dict(zip(row["labels"], row[f"{name}{PER_IDENTITY}{dot}{judge}"], strict=True))
    return [values[label] for label in people]
