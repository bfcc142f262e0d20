"""Sentences on the controls of a study: trials beside stopped targets, and the budget curve."""

from collections.abc import Mapping
from typing import Any

from sweeper.results import formatting
from sweeper.results.controls.figures import LESS, NO_LESS, UNKNOWN, budget_curve
from sweeper.results.trial_record import TrialRecord

RISING = "still rising: the second half of the steps finds more people, and still more steps may find more"
LEAST = 0.001  # a smaller number above zero is written as below it
TARGETS = {"undefended": "the undefended target", "positive": "the target that must leak"}
STOPPED_TEXTS = {
    LESS: "leaks less than {target} stopped at its accuracy",
    NO_LESS: "is not shown to protect: stopped at its accuracy, {target} gives away no more",
    UNKNOWN: "cannot be told from a worse classifier",
}
SHORT_TEXTS = {
    LESS: "leaks less",
    NO_LESS: "no fewer found",
    UNKNOWN: "cannot tell",
}


def rising_warning(controls: Mapping[str, Any] | None) -> str:
    """Return the warning that a study's attacks ended too early; "" where they did not, or nobody knows."""
    rising = [name for name, rises in ((controls or {}).get("still_rising") or {}).items() if rises]
    if not rising:
        return ""
    targets = " and ".join(TARGETS[name] for name in rising)
    return f"attack accuracy on {targets} is {RISING}: set more iterations (trial.attack)"


def stopped_sentence(trial: TrialRecord) -> str:
    """Return what a trial's stopped target says of it, in a sentence; "" where there is none."""
    if trial.stopped is None:
        return ""
    beside, name, people = trial.stopped, "attack_accuracy", formatting.attacked(trial)
    own = formatting.value(name, trial.values.get(name), people, trial.interval.get(name))
    chance = "" if beside["p"] is None else f" ({_adjusted(beside)})"
    said = STOPPED_TEXTS[beside["verdict"]].format(target=f"the undefended target{_frozen(beside)}")
    return (
        f"trial {trial.number} {said}: "
        f"attack accuracy {own} against "
        f"{formatting.value(name, beside[name], people, beside.get('interval'))}{chance}"
    )


def stopped_after(beside: Mapping[str, Any]) -> str:
    """Return after which epoch a target was stopped, and what of it is frozen if anything is."""
    return f"{beside['epoch']}{_frozen(beside)}"


def budget_sentence(controls: Mapping[str, Any] | None) -> str:
    """Return the budget curve of the undefended target in a sentence; "" where it was not measured."""
    curve = budget_curve((controls or {}).get("undefended"))
    if not curve or len(curve) < 2:
        return ""
    names = {0.125: "an eighth", 0.25: "a quarter", 0.5: "half", 1.0: "all"}
    shares = [names[point["share"]] for point in curve]
    rates = ", ".join(_rate(point["attack_accuracy"]) for point in curve)
    text = (
        f"budget: on the undefended target the attack reaches {rates} with {', '.join(shares[:-1])} and "
        f"{shares[-1]} of its steps"
    )
    return f"{text}; {RISING}" if ((controls or {}).get("still_rising") or {}).get("undefended") else text


def _frozen(beside: Mapping[str, Any]) -> str:
    frozen = beside.get("freeze_point", "none")  # older figures have none
    return "" if frozen == "none" else f" (freeze point {frozen})"


def _adjusted(beside: Mapping[str, Any]) -> str:
    tests = beside.get("tests", 1)  # older figures were of one test each
    chance = f"{_p(min(1.0, beside['p'] * tests))} over the same people"
    return chance if tests == 1 else f"{chance}, for all {tests} defended trials that competed"


def _p(p: float) -> str:
    return "p < 0.001" if p < LEAST else f"p {p:.3f}"


def _rate(rate: float) -> str:
    return f"{rate:.3f}" if rate == 0 or rate >= LEAST else "< 0.001"
