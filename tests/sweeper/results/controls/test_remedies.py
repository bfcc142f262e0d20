"""Remedies against the power calculation, and none where it gives none."""

import pytest

from sweeper.results.controls.remedies import TEXTS, remedies
from sweeper.statistics.power import effective_people, exact_power, people_needed, power_of

ALL = ["people", "restarts", "iterations", "prior"]


def controls(rate=0.1, floor=0.025, people=40, restarts=1, names=ALL, **more):
    hits = round(rate * people)
    return {
        "verdict": {"verdict": "cannot tell", "reason": "", "remedies": names},
        "undefended": {
            "attack_accuracy": rate,
            "interval": [0.0, 1.0],
            "per_identity": [1.0] * hits + [0.0] * (people - hits),
            "restarts": restarts,
        },
        "null": {"rate": floor, "interval": [floor / 2, floor * 2]},
        **more,
    }


def by_name(document):
    return {remedy.name: remedy for remedy in remedies(document)}


@pytest.mark.parametrize(
    ("rate", "floor", "people", "needed"),
    [(0.033, 0.005, 214, 370), (0.033, 0.014, 214, 994), (0.067, 0.05, 60, 2988)],
)
def test_people_are_those_whom_the_power_calculation_asks_for(rate, floor, people, needed):
    remedy = by_name(controls(rate, floor, people))["people"]
    assert remedy.needed == people_needed(rate, floor) == pytest.approx(needed, rel=0.01)
    assert f"about {remedy.needed:,} for a chance of 80 %; {people} were attacked" in remedy.text
    assert f"a chance of {exact_power(rate, floor, people):.0%})" in remedy.text


def test_restarts_count_as_people_as_far_as_they_disagree():
    single, double = (by_name(controls(restarts=number))["people"].needed for number in (1, 2))
    assert double < single
    assert effective_people(double, 2) >= single > effective_people(double - 1, 2)
    document = controls(rate=0.1, floor=0.005, people=60)
    needed = by_name(document)["people"].needed
    count = by_name(document)["restarts"].needed
    assert effective_people(60, count) >= needed > effective_people(60, count - 1)
    assert f"about {count}" in by_name(document)["restarts"].text


@pytest.mark.parametrize(("people", "restarts"), [(200, 1), (200, 5), (400, 3)])
def test_who_attacked_enough_by_calculation_and_cannot_tell_gets_no_figure(people, restarts):
    """It cannot tell by bad luck: a figure below what there is would say that more of it does not help."""
    assert people_needed(0.3, 0.1) < 200
    found = by_name(controls(0.3, 0.1, people, restarts))
    for name in ("people", "restarts"):
        assert (found[name].text, found[name].needed) == (TEXTS[name], None)


def test_restarts_are_no_remedy_where_none_of_them_would_do():
    assert needed_far_more(controls(0.033, 0.014, 60))
    assert "restarts" not in by_name(controls(0.033, 0.014, 60))


def needed_far_more(document):
    return by_name(document)["people"].needed > 2 * len(document["undefended"]["per_identity"])


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.025])
def test_a_rate_that_is_not_above_its_floor_says_nothing_of_how_many_would_do(rate):
    for name, remedy in by_name(controls(rate=rate, people=200)).items():
        assert (remedy.needed, remedy.text) == (None, TEXTS[name])


def test_training_seeds_ask_for_more_people_or_hide_the_difference_from_any_number():
    plain = by_name(controls())["people"].needed
    noisy = by_name(controls(seed_deviation=0.1))["people"].needed
    from scipy.stats import norm

    deviation = 0.1 * norm.pdf(norm.ppf(0.1)) / 2**0.5  # of one arm alone: the floor is trained on nothing
    assert plain < noisy
    assert power_of(0.1, 0.025, noisy, seed_deviation=deviation) >= 0.8
    assert power_of(0.1, 0.025, noisy - 1, seed_deviation=deviation) < 0.8
    hidden = by_name(controls(seed_deviation=1.0))
    assert list(hidden) == ["iterations", "prior"]


def half(steps=50):
    point = {"share": 0.5, "steps": {"iterations": steps}, "attack_accuracy": 0.05, "interval": [0, 1]}
    return [{**point, "per_identity": []}]


def test_more_steps_are_a_remedy_where_the_attack_still_rises_or_nobody_knows():
    document = controls(still_rising={"undefended": True})
    document["undefended"]["budget"] = half()
    first = remedies(document)[0]
    assert (first.name, first.needed) == ("iterations", 200)  # twice the hundred that there are
    assert "still rising: 0.050 and 0.100" in first.text
    assert "iterations" not in by_name(controls(still_rising={"undefended": False}))
    assert by_name(controls())["iterations"].text == TEXTS["iterations"]


def test_another_prior_is_a_remedy_where_this_one_shows_nobody():
    low = controls(ceiling={"attack_accuracy": 0.04, "interval": [0.01, 0.1]})
    assert "this one shows 0.040 at best" in by_name(low)["prior"].text
    high = controls(ceiling={"attack_accuracy": 0.8, "interval": [0.7, 0.9]})
    assert "prior" not in by_name(high)
    assert by_name(controls())["prior"].text == TEXTS["prior"]


def test_there_is_always_some_remedy_for_a_study_that_cannot_tell_and_none_for_one_that_tells():
    document = controls(names=["prior"], ceiling={"attack_accuracy": 0.8, "interval": [0.7, 0.9]})
    assert [remedy.name for remedy in remedies(document)] == ["prior"]
    assert remedies(None) == remedies({}) == remedies(controls(names=[])) == []
    assert remedies(controls())[0].to_json().keys() == {"name", "text", "needed"}


def test_controls_of_older_studies_have_remedies_without_figures():
    old = {"verdict": {"verdict": "cannot tell", "reason": "", "remedies": ALL}, "power": None}
    assert [(remedy.name, remedy.needed) for remedy in remedies(old)] == [(name, None) for name in ALL]
