"""Budget curves and stopped targets against counts by hand."""

from math import comb

import pytest

from sweeper.results.controls.figures import (
    LESS,
    NO_LESS,
    UNKNOWN,
    beside_stopped,
    budget_curve,
    still_rising,
)


def people(hits, of=40):
    return [1.0] * hits + [0.0] * (of - hits)


def control(*hits, of=40, shares=(0.125, 0.25, 0.5)):
    """Return a control that finds the first so many people at each share, and of all steps at last."""
    points = [
        {
            "share": share,
            "steps": {"iterations": round(80 * share)},
            "attack_accuracy": count / of,
            "interval": [0.0, 1.0],
            "per_identity": people(count, of),
        }
        for share, count in zip(shares, hits, strict=False)
    ]
    return {
        "attack_accuracy": hits[-1] / of,
        "interval": [0.1, 0.9],
        "per_identity": people(hits[-1], of),
        "budget": points,
    }


def test_the_whole_attack_ends_the_curve():
    curve = budget_curve(control(2, 4, 8, 10))
    assert [(point["share"], point["attack_accuracy"]) for point in curve] == [
        (0.125, 0.05),
        (0.25, 0.1),
        (0.5, 0.2),
        (1.0, 0.25),
    ]
    assert set(curve[0]) == {"share", "attack_accuracy", "interval"}
    assert curve[-1]["interval"] == [0.1, 0.9]


@pytest.mark.parametrize("missing", [None, {}, {"budget": None}, {"attack_accuracy": 0.5}])
def test_what_was_not_measured_is_none(missing):
    assert budget_curve(missing) is None and still_rising(missing) is None


@pytest.mark.parametrize("more", range(8))
def test_an_attack_rises_where_mcnemars_one_sided_test_says_so(more):
    """The whole attack finds `more` people whom half of the steps do not, and loses none."""
    assert still_rising(control(2, 4, 8, 8 + more)) == (0.5**more < 0.05)


def test_people_who_are_lost_again_count_against_a_rise():
    risen = control(2, 4, 8, 14)
    risen["per_identity"] = [0.0] * 3 + [1.0] * 11 + [0.0] * 26  # nine are new... and three lost: 6 to 3
    p = sum(comb(9, k) for k in range(6, 10)) / 2**9
    assert p > 0.05 and still_rising(risen) is False
    assert still_rising(control(2, 4, 8, 2)) is False  # a fall is no rise


def test_without_half_of_the_steps_nobody_knows_whether_it_rises():
    assert still_rising(control(2, 4, shares=(0.125,))) is None


STOPPED = {
    "epoch": 4,
    "validation_accuracy": 0.8,
    "test_accuracy": 0.75,
    "attack_accuracy": 0.5,
    "interval": [0.35, 0.65],
    "per_identity": people(20),
}


@pytest.mark.parametrize(
    ("hits", "verdict"), [(10, LESS), (14, LESS), (15, UNKNOWN), (19, UNKNOWN), (20, NO_LESS), (30, NO_LESS)]
)
def test_a_trial_leaks_less_where_mcnemars_test_says_so(hits, verdict):
    figures = beside_stopped(people(hits), STOPPED)
    apart = abs(20 - hits)
    assert figures["p"] == pytest.approx(min(1.0, 2 * 0.5**apart))
    assert figures["verdict"] == verdict
    assert figures["difference"] == pytest.approx((20 - hits) / 40)
    assert (figures["epoch"], figures["attack_accuracy"]) == (4, 0.5)
    assert "per_identity" not in figures


@pytest.mark.parametrize(("competed", "verdict"), [(1, LESS), (25, LESS), (26, UNKNOWN)])
def test_verdicts_of_all_trials_that_competed_hold_together(competed, verdict):
    figures = beside_stopped(people(10), STOPPED, competed=competed)
    assert figures["p"] == pytest.approx(2 * 0.5**10) and figures["tests"] == competed
    assert figures["verdict"] == verdict == (LESS if 2 * 0.5**10 * competed < 0.05 else UNKNOWN)


@pytest.mark.parametrize(("hits", "verdict"), [(10, LESS), (15, UNKNOWN), (20, UNKNOWN), (30, UNKNOWN)])
def test_on_a_stopped_target_at_its_floor_leaking_no_less_says_nothing(hits, verdict):
    assert beside_stopped(people(hits), STOPPED, floor=0.4)["verdict"] == verdict
    assert beside_stopped(people(20), STOPPED, floor=0.3)["verdict"] == NO_LESS


def test_without_the_trials_people_no_test_is_made():
    for rates in (None, people(3, of=10)):
        figures = beside_stopped(rates, STOPPED)
        assert (figures["difference"], figures["p"], figures["verdict"]) == (None, None, UNKNOWN)
    assert beside_stopped(people(3), None) is None
