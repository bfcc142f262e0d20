"""Figures of readers in words, for tables, report and card."""

from collections.abc import Mapping
from typing import Any

from sweeper.results import formatting


def sentences(figures: Mapping[str, Any] | None, *, names: bool = True) -> list[str]:
    """Return what readers of panels said, in sentences; [] where nobody answered.

    names: of the readers too; what travels tells how many they are.
    """
    if not figures:
        return []
    lines = []
    if figures["answers"]:
        readers = [reader["reader"] for reader in figures["readers"]]
        who = ", ".join(readers) if names else str(len(readers))
        refused = f", {figures['refused']} refused" if figures["refused"] else ""
        lines.append(
            f"readers of panels ({who}): {figures['answers']} "
            f"{formatting.plural('answer', figures['answers'])}{refused}; on controls false positives "
            f"{_rate(figures, 'false_positive')}, false negatives {_rate(figures, 'false_negative')}"
            + ("" if figures["kappa"] is None else f"; kappa {figures['kappa']:.2f}")
        )
        if figures.get("swapped_rate") is not None:
            lines.append(
                "a reconstruction beside somebody else's images is taken for that person in "
                f"{_rate(figures, 'swapped')}: so much says nothing of anybody"
            )
        judge = figures["judge"]
        if judge["agreement"] is not None:
            kappa = "" if judge["kappa"] is None else f", kappa {judge['kappa']:.2f}"
            lines.append(
                f"with the readers as the truth, the judge agrees in {_share(judge['agreement'])}{kappa}; "
                f"its false positives {_share(judge['false_positive_rate'])}, false negatives "
                f"{_share(judge['false_negative_rate'])}"
            )
    return [*lines, *(of_trial(trial) for trial in figures["trials"]), *map(_pair, figures["pairs"])]


def of_trial(trial: Mapping[str, Any]) -> str:
    """Return what readers recognised of a trial, beside the judge."""
    rate = formatting.ranged("attack_accuracy", trial["rate"], trial["interval"], trial["people"])
    judge = formatting.value("attack_accuracy", trial["judge_rate"], trial["people"])
    swapped = trial.get("swapped_rate")
    return (
        f"trial {trial['trial']}: readers recognise {rate} of {_people(trial['people'])} "
        f"({trial['panels']} {formatting.plural('panel', trial['panels'])}), the judge {judge}"
        + ("" if swapped is None else f"; beside somebody else's images {_share(swapped)}")
    )


def _pair(pair: Mapping[str, Any]) -> str:
    first, second = pair["trials"]
    undecided = f", {pair['none']} undecided" if pair["none"] else ""
    if pair["rate"] is None:
        return f"trial {first} against {second}: no reader chose{undecided}"
    low, high = pair["interval"]
    return (
        f"trial {first} against {second}: closer in {pair['closer'][0]} against {pair['closer'][1]} "
        f"choices{undecided}; {_share(pair['rate'])} [{_share(low)}, {_share(high)}] for trial {first} "
        f"over {_people(pair['people'])}"
    )


def _people(count: int) -> str:
    return f"{count} {formatting.plural('person', count, 'people')}"


def _rate(figures: Mapping[str, Any], name: str) -> str:
    ends = figures[f"{name}_interval"]
    shown = f" [{_share(ends[0])}, {_share(ends[1])}]" if ends else ""
    return f"{_share(figures[f'{name}_rate'])}{shown}"


def _share(share: float | None) -> str:
    return "–" if share is None else formatting.percent(share)
