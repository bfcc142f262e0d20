import dataclasses

import pytest

from sweeper.results.controls.figures import LESS, NO_LESS, UNKNOWN
from sweeper.results.controls.texts import budget_sentence, rising_warning, stopped_after, stopped_sentence
from sweeper.results.trial_record import TrialRecord


def trial(verdict, p=0.01):
    stopped = {"epoch": 4, "test_accuracy": 0.8, "attack_accuracy": 0.525, "p": p, "verdict": verdict}
    return TrialRecord(number=5, state="complete", values={"attack_accuracy": 0.363}, stopped=stopped)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (LESS, "trial 5 leaks less than the undefended target stopped at its accuracy"),
        (NO_LESS, "trial 5 is not shown to protect: stopped at its accuracy, the undefended"),
        (UNKNOWN, "trial 5 cannot be told from a worse classifier"),
    ],
)
def test_a_trial_and_its_stopped_target_are_a_sentence(verdict, words):
    figures = "attack accuracy 36.3 % against 52.5 %"
    text = stopped_sentence(trial(verdict))
    assert text.startswith(words) and text.endswith(f": {figures} (p 0.010 over the same people)")
    assert stopped_sentence(trial(verdict, p=None)).endswith(f": {figures}")
    assert stopped_sentence(TrialRecord(number=1, state="complete")) == ""


def test_a_test_of_several_trials_is_told_with_its_adjusted_p():
    found = trial(UNKNOWN, p=0.01)
    several = dataclasses.replace(found, stopped={**found.stopped, "tests": 8})
    assert stopped_sentence(several).endswith(
        "(p 0.080 over the same people, for all 8 defended trials that competed)"
    )
    many = dataclasses.replace(found, stopped={**found.stopped, "tests": 800})
    assert "(p 1.000 over the same people, for all 800" in stopped_sentence(many)


def test_what_of_a_stopped_target_is_frozen_is_told():
    found = trial(LESS)
    frozen = dataclasses.replace(found, stopped={**found.stopped, "freeze_point": "conv2"})
    target = "the undefended target (freeze point conv2) stopped at its accuracy"
    assert f"leaks less than {target}" in stopped_sentence(frozen)
    assert stopped_after(frozen.stopped) == "4 (freeze point conv2)"
    assert stopped_after(found.stopped) == stopped_after({**found.stopped, "freeze_point": "none"}) == "4"


@pytest.mark.parametrize("p", [0.0, 1e-9, 0.0004, 0.00099])
def test_a_small_probability_is_no_zero(p):
    assert stopped_sentence(trial(LESS, p=p)).endswith("(p < 0.001 over the same people)")
    assert stopped_sentence(trial(LESS, p=0.001)).endswith("(p 0.001 over the same people)")


def curve(*shares):
    return {
        "attack_accuracy": 0.6,
        "interval": [0, 1],
        "budget": [{"share": s, "attack_accuracy": s / 2, "interval": [0, 1]} for s in shares],
    }


def test_a_budget_curve_is_a_sentence():
    text = budget_sentence({"undefended": curve(0.125, 0.25, 0.5)})
    assert text == (
        "budget: on the undefended target the attack reaches 0.062, 0.125, 0.250, 0.600 with an eighth, "
        "a quarter, half and all of its steps"
    )
    few = curve(0.125, 0.25)
    few["budget"][0]["attack_accuracy"], few["budget"][1]["attack_accuracy"] = 0.0, 0.0004
    assert "reaches 0.000, < 0.001, 0.600 with" in budget_sentence({"undefended": few})
    rising = budget_sentence({"undefended": curve(0.5), "still_rising": {"undefended": True}})
    assert "0.250, 0.600 with half and all" in rising and "still rising" in rising
    assert budget_sentence({"undefended": curve()}) == budget_sentence(None) == budget_sentence({}) == ""


def test_attacks_that_still_rise_are_a_warning():
    assert "on the undefended target is still rising" in rising_warning(
        {"still_rising": {"undefended": True}}
    )
    both = rising_warning({"still_rising": {"undefended": True, "positive": True}})
    assert "the undefended target and the target that must leak" in both
    for calm in (None, {}, {"still_rising": {"undefended": False, "positive": None}}):
        assert rising_warning(calm) == ""


def test_nobody_found_is_a_bound_beside_a_stopped_target_too():
    beside = {"epoch": 4, "test_accuracy": 0.8, "attack_accuracy": 0.0, "interval": [0.0, 0.0876], "p": 1.0}
    found = TrialRecord(
        number=5,
        state="complete",
        values={"attack_accuracy": 0.0},
        people={"attacked": 40, "found": 0},
        stopped={**beside, "verdict": UNKNOWN},
    )
    bound = f"below {100 * (1 - 0.05 ** (1 / 40)):.1f} % at 95 %"
    assert f": attack accuracy {bound} against {bound} (p 1.000 " in stopped_sentence(found)
