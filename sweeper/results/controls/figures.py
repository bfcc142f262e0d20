"""Figures of a study's controls, from their JSON: the budget curve, and trials beside stopped targets."""

from collections.abc import Mapping, Sequence
from typing import Any

CURVES = ("undefended", "positive")  # controls that are attacked with parts of the steps too
LESS, NO_LESS, UNKNOWN = "leaks less", "leaks no less", "cannot tell"
RISING = 0.05  # level of the one-sided test that the second half of the steps finds more


def budget_curve(control: Mapping[str, Any] | None) -> list[dict[str, Any]] | None:
    """Return ``{"share", "attack_accuracy", "interval"}`` by share of the steps; None if not measured.

    control: a target control as JSON. The whole attack is the last.
    """
    points = (control or {}).get("budget")
    if control is None or points is None:
        return None
    whole = {"share": 1.0, "attack_accuracy": control["attack_accuracy"], "interval": control["interval"]}
    return [{name: point[name] for name in whole} for point in (*points, whole)]


def still_rising(control: Mapping[str, Any] | None) -> bool | None:
    """Return whether the second half of the steps finds significantly more; None if that was not measured.

    A paired one-sided test at 5 % over the people: McNemar's exact one where each is found or is not, else by
    flipped signs (`sweeper.statistics.paired`).
    """
    half = next((point for point in (control or {}).get("budget") or () if point["share"] == 0.5), None)
    if control is None or half is None:
        return None
    from sweeper.statistics.paired import paired_test

    return paired_test(control["per_identity"], half["per_identity"]).p_higher < RISING


def beside_stopped(
    rates: Sequence[float] | None,
    stopped: Mapping[str, Any] | None,
    floor: float | None = None,
    *,
    competed: int = 1,
) -> dict[str, Any] | None:
    """Return a stopped target's figures, and whether the trial leaks less by a paired test over people.

    rates: of the trial, by person; None if they are not known. stopped: `StoppedControl` as JSON; None gives
    None. ``difference``: of the attack accuracies, stopped less trial; ``p``: two-sided; ``verdict``: the
    trial leaks less; it leaks no less, in that no fewer people are found on it, which is no test that it does
    not protect; or so few people cannot tell. ``tests``: what `p` is multiplied by for that.
    floor: upper end of the interval of the study's floor, where that was measured. On a stopped target that
    is not clear of it the attack finds nobody, so that leaking no less says nothing.
    competed: trials among which the front was chosen for rates on these people, and this one with it: the
    verdicts of them all together hold at 5 % (Bonferroni).
    """
    if stopped is None:
        return None
    figures: dict[str, Any] = {
        **{name: value for name, value in stopped.items() if name != "per_identity"},
        "difference": None,
        "p": None,
        "tests": competed,
        "verdict": UNKNOWN,
    }
    if rates is None or len(rates) != len(stopped["per_identity"]):
        return figures
    from sweeper.statistics.paired import LEVEL, paired_test

    test = paired_test(stopped["per_identity"], rates)
    verdict = LESS if test.difference > 0 and test.p * competed < LEVEL else UNKNOWN
    if test.difference <= 0 and (floor is None or stopped["interval"][0] > floor):
        verdict = NO_LESS
    return {**figures, "difference": test.difference, "p": test.p, "verdict": verdict}
