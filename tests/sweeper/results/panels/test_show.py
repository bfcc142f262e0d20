"""Figures of readers in words: each number of hand-written figures stands where it belongs."""

import pytest

from sweeper.results.panels.figures import Answer
from sweeper.results.panels.figures import figures as measured
from sweeper.results.panels.show import of_trial, sentences

RATES = {
    "false_positive_rate": 0.125,
    "false_positive_interval": [0.05, 0.25],
    "false_negative_rate": 0.375,
    "false_negative_interval": [0.25, 0.5],
    "swapped_rate": 0.0625,
    "swapped_interval": [0.01, 0.2],
}
JUDGE = {"agreement": 0.875, "kappa": 0.6543, "false_positive_rate": 0.15, "false_negative_rate": 0.35}
NO_JUDGE = dict.fromkeys(JUDGE)
TRIAL = {
    "trial": 7,
    "rate": 0.4,
    "interval": [0.3, 0.5],
    "people": 20,
    "panels": 40,
    "judge_rate": 0.55,
    "swapped_rate": 0.1,
}
PAIR = {"trials": [7, 2], "closer": [6, 3], "none": 0, "people": 9, "rate": 2 / 3, "interval": [0.4, 0.9]}


def figures(**changes):
    readers = [{"reader": "ann"}, {"reader": "bob"}]
    found = {"answers": 48, "refused": 0, "kappa": None, "readers": readers, **RATES, "judge": NO_JUDGE}
    return {**found, "trials": [], "pairs": [], **changes}


ERRORS = "on controls false positives 12.5 % [5.0 %, 25.0 %], false negatives 37.5 % [25.0 %, 50.0 %]"
SWAPPED = (
    "a reconstruction beside somebody else's images is taken for that person in 6.2 % [1.0 %, 20.0 %]: so "
    "much says nothing of anybody"
)


def test_the_figures_of_these_tests_have_the_form_of_measured_ones():
    about = {"trial": 7, "identity": 0, "restart": 0, "judge": True}
    rows = [
        Answer(panel="a", answer="yes", reader="ann", about={"kind": "attack", **about}),
        Answer(panel="b", answer="first", reader="ann", about={"kind": "pair", "trials": [7, 2], **about}),
    ]
    found = measured(rows)
    assert found.keys() == figures().keys() and found["judge"].keys() == JUDGE.keys()
    assert [row.keys() for row in found["trials"]] == [TRIAL.keys()]
    assert [row.keys() for row in found["pairs"]] == [PAIR.keys()]


def test_everything_that_is_known_has_a_sentence_in_order():
    known = figures(refused=3, kappa=0.756, judge=JUDGE, trials=[TRIAL, {**TRIAL, "trial": 9}], pairs=[PAIR])
    assert sentences(known) == [
        f"readers of panels (ann, bob): 48 answers, 3 refused; {ERRORS}; kappa 0.76",
        SWAPPED,
        "with the readers as the truth, the judge agrees in 87.5 %, kappa 0.65; its false positives 15.0 %, "
        "false negatives 35.0 %",
        of_trial(TRIAL),
        of_trial({**TRIAL, "trial": 9}),
        "trial 7 against 2: closer in 6 against 3 choices; 66.7 % [40.0 %, 90.0 %] for trial 7 over 9 people",
    ]
    assert of_trial(TRIAL) == (
        "trial 7: readers recognise 40.0 % [30.0 %, 50.0 %] of 20 people (40 panels), the judge 55.0 %; "
        "beside somebody else's images 10.0 %"
    )


def test_what_is_not_known_is_left_out_or_a_dash():
    assert sentences(figures()) == [f"readers of panels (ann, bob): 48 answers; {ERRORS}", SWAPPED]
    nothing = dict.fromkeys(RATES)
    assert sentences(figures(**nothing)) == [
        "readers of panels (ann, bob): 48 answers; on controls false positives –, false negatives –"
    ]
    without_kappa = {**JUDGE, "kappa": None, "false_negative_rate": None}
    assert sentences(figures(judge=without_kappa))[-1] == (
        "with the readers as the truth, the judge agrees in 87.5 %; its false positives 15.0 %, false "
        "negatives –"
    )
    assert of_trial({**TRIAL, "swapped_rate": None}).endswith("the judge 55.0 %")
    assert ", the judge –; beside" in of_trial({**TRIAL, "judge_rate": None})
    assert sentences(None) == [] == sentences(figures(answers=0, judge=JUDGE))


def test_figures_of_an_older_version_know_no_swapped_images():
    older = {name: value for name, value in figures().items() if not name.startswith("swapped")}
    trial = {name: value for name, value in TRIAL.items() if name != "swapped_rate"}
    assert sentences({**older, "trials": [trial]}) == [
        f"readers of panels (ann, bob): 48 answers; {ERRORS}",
        of_trial({**TRIAL, "swapped_rate": None}),
    ]


def test_what_travels_tells_how_many_readers_there_are_and_no_name():
    assert sentences(figures(), names=False)[0] == f"readers of panels (2): 48 answers; {ERRORS}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"none": 2}, "closer in 6 against 3 choices, 2 undecided; 66.7 % [40.0 %, 90.0 %] for trial 7 over"),
        ({"rate": None, "interval": None, "closer": [0, 0], "none": 4}, ": no reader chose, 4 undecided"),
        ({"rate": None, "interval": None, "closer": [0, 0]}, ": no reader chose"),
    ],
)
def test_choices_between_two_trials_stand_alone(changes, said):
    (line,) = sentences(figures(answers=0, pairs=[{**PAIR, **changes}]))
    assert line.startswith("trial 7 against 2: ") and said in line
    assert ("undecided" in line) == ("none" in changes)


def test_nobody_recognised_is_a_bound():
    """Of 20 people: the rate p with (1 - p)^20 = 0.05, for readers and for the judge."""
    bound = f"below {100 * (1 - 0.05 ** (1 / 20)):.1f} % at 95 %"
    line = of_trial({**TRIAL, "rate": 0.0, "interval": [0.0, 0.16], "judge_rate": 0.0})
    assert f"readers recognise {bound} of 20 people (40 panels), the judge {bound};" in line


def test_one_of_anything_is_not_several():
    one = {**TRIAL, "people": 1, "panels": 1}
    first, *_, trial, pair = sentences(figures(answers=1, trials=[one], pairs=[{**PAIR, "people": 1}]))
    assert ": 1 answer; on" in first
    assert " of 1 person (1 panel), the judge" in trial
    assert pair.endswith("over 1 person")


def test_a_figure_of_zero_is_known():
    judge = dict.fromkeys(JUDGE, 0.0)
    trial = {**TRIAL, "swapped_rate": 0.0}
    pair = {**PAIR, "closer": [0, 9], "rate": 0.0, "interval": [0.0, 0.3]}
    known = figures(kappa=0.0, swapped_rate=0.0, judge=judge, trials=[trial], pairs=[pair])
    first, swapped, agreement, attacked, choice = sentences(known)
    assert first.endswith("; kappa 0.00")
    assert "is taken for that person in 0.0 % [1.0 %, 20.0 %]" in swapped
    assert agreement == (
        "with the readers as the truth, the judge agrees in 0.0 %, kappa 0.00; its false positives 0.0 %, "
        "false negatives 0.0 %"
    )
    assert attacked.endswith("; beside somebody else's images 0.0 %")
    assert choice.endswith("closer in 0 against 9 choices; 0.0 % [0.0 %, 30.0 %] for trial 7 over 9 people")
