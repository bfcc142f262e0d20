"""Rows of an analysis compared person by person, beside the paired tests themselves."""

import pytest

from sweeper.results.comparing.paired_rows import compare_rows, conclude
from sweeper.statistics.paired import PairedTest, paired_test

NAMES = ("sure", "recognised", "false_positives")
PEOPLE = 16


def row(trial, sure, recognised, labels=range(PEOPLE), attack="gmi"):
    """Return a row whose people are, all alike, sure and recognised at these rates, but for every fourth."""
    labels = list(labels)
    false = [s - r for s, r in zip(sure, recognised, strict=True)]
    return {
        "trial": trial,
        "attack": attack,
        "labels": labels,
        "sure_per_identity": sure,
        "recognised_per_identity.classifier": recognised,
        "false_positives_per_identity.classifier": false,
        "threshold": 0.9,
    }


UNDEFENDED = row(0, [1.0] * PEOPLE, [1.0] * PEOPLE)
MOVED = row(1, [1.0] * PEOPLE, [0.0] * PEOPLE)
FAILED = row(2, [0.0] * PEOPLE, [0.0] * PEOPLE)


def test_every_row_stands_beside_the_reference_of_its_attack():
    other = row(0, [1.0] * 4, [0.5] * 4, range(4), "ppa")
    later = row(1, [0.5] * 4, [0.25] * 4, range(2, 6), "ppa")
    rows = compare_rows([UNDEFENDED, other, MOVED, later, FAILED], NAMES, 0)
    assert [(each["trial"], each["against"], each["attack"]) for each in rows] == [
        (1, 0, "gmi"),
        (1, 0, "ppa"),
        (2, 0, "gmi"),
    ]
    assert [each["identities"] for each in rows] == [PEOPLE, 2, PEOPLE]  # the people of both
    truth = paired_test([0.5, 0.5], [1.0, 1.0])
    test = rows[1]["tests"]["sure"]
    assert (test["difference"], test["p"]) == (pytest.approx(truth.difference), truth.p)
    assert test["difference"] == -0.5  # this trial less the reference
    assert set(rows[0]["tests"]) == {"sure", "recognised.classifier", "false_positives.classifier"}


def test_nothing_stands_beside_another_trial_where_the_reference_has_no_such_attack():
    other, later = (row(trial, [1.0] * 4, [0.5] * 4, range(4), "ppa") for trial in (1, 2))
    rows = compare_rows([UNDEFENDED, other, MOVED, later], NAMES, 0)
    assert [(each["trial"], each["against"], each["attack"]) for each in rows] == [(1, 0, "gmi")]
    assert compare_rows([MOVED, FAILED], NAMES, 0) == compare_rows([], NAMES, 0) == []


def test_attacks_that_moved_are_told_from_attacks_that_failed():
    moved, failed = compare_rows([UNDEFENDED, MOVED, FAILED], NAMES, 0)
    assert "moved into false positives" in moved["conclusion"]["classifier"]
    assert "fail against the target itself" in failed["conclusion"]["classifier"]
    (same,) = compare_rows([UNDEFENDED, {**UNDEFENDED, "trial": 5}], NAMES, 0)
    assert "no fewer people" in same["conclusion"]["classifier"]


@pytest.mark.parametrize("trials", [1, 3, 4, 12])
def test_conclusions_of_many_trials_hold_together_while_each_p_is_its_own(trials):
    """Seven people fewer are p 1/64, and of k trials alike all or none are told (Holm)."""
    fewer = [0.0] * 7 + [1.0] * (PEOPLE - 7)
    rows = compare_rows([UNDEFENDED, *(row(n, fewer, fewer) for n in range(1, 1 + trials))], NAMES, 0)
    assert [each["tests"]["sure"]["p"] for each in rows] == pytest.approx([2 * 0.5**7] * trials)
    told = trials * 2 * 0.5**7 < 0.05
    assert {each["conclusion"]["classifier"].startswith("fewer are") for each in rows} == {told}


def test_nobody_in_common_is_no_comparison():
    assert compare_rows([UNDEFENDED, row(1, [1.0], [1.0], [99])], NAMES, 0) == []


UP = PairedTest(difference=0.3, p=0.01, first_only=5, second_only=0)
DOWN = PairedTest(difference=-0.3, p=0.01, first_only=0, second_only=5)
UNCLEAR = PairedTest(difference=-0.1, p=0.4, first_only=1, second_only=2)


@pytest.mark.parametrize(
    ("recognised", "false_positives", "sure", "text"),
    [
        (UP, UP, UP, "no fewer"),
        (UNCLEAR, UP, DOWN, "no fewer"),
        (DOWN, UP, DOWN, "some attacks fail"),
        (DOWN, UP, UNCLEAR, "moved into false positives"),
        (
            DOWN,
            UNCLEAR,
            DOWN,
            "fail against the target itself; whether false positives rise the test cannot tell",
        ),
        (DOWN, DOWN, DOWN, "fail against the target itself; fewer false positives"),
        (DOWN, UNCLEAR, UNCLEAR, "cannot tell"),
    ],
)
def test_words_stand_only_where_the_tests_carry_them(recognised, false_positives, sure, text):
    assert text in conclude(recognised, false_positives, sure)
