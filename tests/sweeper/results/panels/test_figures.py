"""Figures of answers that are written by hand, against counts made here."""

import random

import pytest
import torch

from sweeper.results.panels.figures import Answer, figures
from sweeper.statistics.agreement import fleiss_kappa
from trainables.judges.agreement import cohen_kappa
from trainables.metrics.attack_accuracy import interval95


def answer(panel, word, reader="a", **about):
    return Answer(panel=panel, answer=word, reader=reader, about={"kind": "attack", **about})


def attack(panel, word, identity, *, judge=None, trial=3, restart=0, reader="a"):
    return answer(panel, word, reader, trial=trial, identity=identity, restart=restart, judge=judge)


def control(panel, word, kind, reader="a"):
    return answer(panel, word, reader, kind=kind, identity=0, shows=0, judge=True)


def test_error_rates_of_readers_are_those_of_the_controls():
    words = (
        [("genuine", "yes")] * 7 + [("genuine", "no")] * 3 + [("impostor", "yes")] + [("impostor", "no")] * 4
    )
    words += [("genuine", "refused"), ("impostor", "refused")]
    rows = [control(f"c{n}", word, kind) for n, (kind, word) in enumerate(words)]
    result = figures([*rows, attack("p", "yes", 0)])
    assert result["false_positive_rate"] == 1 / (1 + 4) and result["false_negative_rate"] == 3 / (3 + 7)
    assert result["false_positive_interval"] == list(interval95(torch.tensor([1.0, 0, 0, 0, 0]), 1))
    assert (result["answers"], result["refused"]) == (18, 2)
    assert result["readers"] == [
        {"reader": "a", "answers": 18, "rate": 1.0}
        | {name: result[name] for name in result if name.startswith(("false_", "swapped_"))}
    ]


def test_a_second_reader_of_the_same_controls_makes_no_interval_narrower():
    def said(*readers):
        return [
            control(f"c{n}", "yes" if n < 2 else "no", "impostor", reader)
            for reader in readers
            for n in range(10)
        ]

    alone, both = figures(said("a")), figures(said("a", "b"))
    assert alone["false_positive_rate"] == both["false_positive_rate"] == 0.2
    assert alone["false_positive_interval"] == both["false_positive_interval"]


def test_a_panel_that_more_readers_answered_weighs_no_more():
    """One of ten impostors deceives the nine readers who saw it alone; the interval is over panels."""
    rows = [control("c0", "yes", "impostor", reader) for reader in "abcdefghi"]
    rows += [control(f"c{n}", "no", "impostor") for n in range(1, 10)]
    result = figures(rows)
    low, high = result["false_positive_interval"]
    assert result["false_positive_rate"] == pytest.approx(1 / 10)  # 9 of 18 answers
    assert low <= result["false_positive_rate"] <= high < 9 / 18


@pytest.mark.parametrize("seed", range(5))
def test_every_rate_lies_in_its_interval(seed):
    """Panels with one to six readers each, of whom the ones who see many panels err more often."""
    dice = random.Random(seed)
    rows = []
    for number in range(30):
        kind = dice.choice(["impostor", "genuine", "swapped"])
        about = {"identity": number, "shows": 9, "trial": dice.choice([1, 3]), "judge": True}
        readers = dice.choice([1, 6])
        for reader in "abcdef"[:readers]:
            word = "yes" if dice.random() < (0.9 if readers > 1 else 0.1) else "no"
            rows.append(answer(f"p{number}", word, reader, kind=kind, **about))
    result = figures([*rows, attack("x", "yes", 0, trial=1), attack("y", "no", 0)])
    for name, kind, wrong in (
        ("false_positive", "impostor", "yes"),
        ("false_negative", "genuine", "no"),
        ("swapped", "swapped", "yes"),
    ):
        own = [row for row in rows if row.about["kind"] == kind]
        panels = {row.panel: [r.answer == wrong for r in own if r.panel == row.panel] for row in own}
        truth = sum(sum(said) / len(said) for said in panels.values()) / len(panels)
        low, high = result[f"{name}_interval"]
        assert result[f"{name}_rate"] == pytest.approx(truth) and low <= result[f"{name}_rate"] <= high
    for trial in result["trials"]:
        own = [row for row in rows if row.about["kind"] == "swapped" and row.about["trial"] == trial["trial"]]
        panels = {row.panel: [r.answer == "yes" for r in own if r.panel == row.panel] for row in own}
        truth = sum(sum(said) / len(said) for said in panels.values()) / len(panels)
        assert trial["swapped_rate"] == pytest.approx(truth)


def test_attack_success_is_a_mean_over_people_with_their_interval():
    rows = [
        *(attack(f"x{r}", word, 0, restart=r, judge=True) for r, word in enumerate(("yes", "no"))),
        *(attack(f"y{r}", word, 1, restart=r, judge=False) for r, word in enumerate(("yes", "yes"))),
        attack("z0", "no", 2, judge=True),
        attack("z1", "refused", 2, judge=True),
        attack("w", "yes", 5, trial=1),
    ]
    first, third = figures(rows)["trials"]
    assert (first["trial"], first["rate"], first["judge_rate"]) == (1, 1.0, None)
    rates = torch.tensor([0.5, 1.0, 0.0], dtype=torch.float64)
    assert third == {
        "trial": 3,
        "panels": 5,
        "people": 3,
        "rate": 0.5,
        "interval": list(interval95(rates, 1)),
        "judge_rate": (1 + 0 + 1) / 3,
        "swapped_rate": None,
    }


def test_what_tells_nothing_of_a_person_is_measured_by_trial_and_over_all():
    rows = [attack(f"x{n}", "yes", n) for n in range(4)] + [attack("y", "yes", 0, trial=1)]
    words = [(3, "yes"), (3, "no"), (3, "no"), (3, "no"), (1, "no"), (1, "refused")]
    rows += [
        answer(f"s{n}", word, "a", kind="swapped", identity=n, shows=9, trial=trial, restart=0, judge=False)
        for n, (trial, word) in enumerate(words)
    ]
    result = figures(rows)
    assert result["swapped_rate"] == result["readers"][0]["swapped_rate"] == 1 / 5
    assert result["swapped_interval"] == list(interval95(torch.tensor([1.0, 0, 0, 0, 0]), 1))
    assert [(trial["trial"], trial["rate"], trial["swapped_rate"]) for trial in result["trials"]] == [
        (1, 1.0, 0.0),
        (3, 1.0, 0.25),
    ]


def test_the_judge_is_measured_with_the_readers_as_the_truth():
    said = ["yes"] * 6 + ["no"] * 4
    judge = [True] * 5 + [False] + [True] * 3 + [False]
    rows = [attack(f"p{n}", word, n, judge=j) for n, (word, j) in enumerate(zip(said, judge, strict=True))]
    result = figures(rows)["judge"]
    assert result == {
        "agreement": (5 + 1) / 10,
        "kappa": cohen_kappa([word == "yes" for word in said], judge),
        "false_positive_rate": 3 / (3 + 1),
        "false_negative_rate": 1 / (1 + 5),
    }


def test_readers_are_compared_on_the_panels_that_all_answered():
    words = {"a": "yyny", "b": "ynnn", "c": "yyyn"}
    full = {"y": "yes", "n": "no"}

    def said(*readers):
        return [
            attack(f"p{n}", full[word], n, reader=reader)
            for reader in readers
            for n, word in enumerate(words[reader])
        ]

    assert figures(said("a"))["kappa"] is None
    alone = attack("q", "yes", 9, reader="a")  # that nobody else answered
    assert figures([*said("a", "b"), alone])["kappa"] == cohen_kappa(words["a"], words["b"])
    counts = [[sum(words[r][n] == word for r in "abc") for word in "yn"] for n in range(4)]
    assert figures([*said("a", "b", "c"), alone])["kappa"] == fleiss_kappa(counts)


def test_answers_to_panels_of_two_are_choices_between_trials():
    def pair(panel, word, trials, identity):
        return answer(panel, word, kind="pair", trials=trials, identity=identity, restart=0)

    rows = [
        pair("p1", "first", [2, 5], 0),
        pair("p2", "second", [5, 2], 1),
        pair("p3", "second", [2, 5], 2),
        pair("p4", "none", [5, 2], 3),
    ]
    result = figures(rows)
    rates = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    assert result["pairs"] == [
        {
            "trials": [2, 5],
            "closer": [2, 1],
            "none": 1,
            "people": 3,
            "rate": pytest.approx(2 / 3),
            "interval": list(interval95(rates, 1)),
        }
    ]
    assert result["answers"] == 0 and result["trials"] == [] and result["kappa"] is None
    assert figures([rows[3]])["pairs"][0]["rate"] is None


def test_without_cases_there_are_no_rates():
    result = figures([attack("p", "refused", 0)])
    assert result["false_positive_rate"] is None and result["false_positive_interval"] is None
    assert result["judge"]["agreement"] is None and result["trials"] == [] and result["answers"] == 1
