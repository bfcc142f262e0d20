"""How the page words what it says: spaces, numbers of things, zero, units."""

import html
import re

import pytest
from records import as_study

from sweeper.cli.tables import show_front
from sweeper.report.report import render

INLINE = r"</?(?:span|i|a|strong)\b[^>]*>"  # they part no words; cells and blocks do


def complete(number, accuracy, attacked, **extra):
    return {
        "number": number,
        "values": {"test_accuracy": accuracy, "attack_accuracy": attacked},
        "interval": {"attack_accuracy": [attacked - 0.04, attacked + 0.05]},
        "on_front": True,
        "freeze_point": "stem",
        "defense": "mid",
        "params": {"defense.kind": "mid"},
        "seconds": {"target": 12.0},
    } | extra


def undefended(number, **extra):
    return complete(number, 0.95, 0.4, **{"params": {}, "freeze_point": "none", "defense": "none"} | extra)


def page(*studies):
    return render([as_study(study) for study in studies], images=False)


def written(text):
    """Return the lines of a page as they read, one for each block and cell."""
    blocks = re.sub(r"<(style|script|svg)\b.*?</\1>", "\n", text, flags=re.DOTALL)
    whole = re.sub(r"\s+", " ", re.sub(INLINE, "", blocks))
    lines = (html.unescape(line).strip() for line in re.split(r"<[^>]+>", whole))
    return [line for line in lines if line]


def joints(text):
    """Return where no space is between a word and a bracket, or between two sentences."""
    lines = "\n".join(written(text))
    return [lines[max(0, m.start() - 20) : m.end() + 20] for m in re.finditer(r"\w\(|[a-z]\.[A-Z]", lines)]


STOPPED = {"epoch": 4, "test_accuracy": 0.81, "attack_accuracy": 0.525, "interval": [0.37, 0.67]}
STOPPED |= {"difference": 0.2, "p": 0.01, "verdict": "leaks less"}


def test_words_and_sentences_stand_apart():
    assert joints("<p>own\n(so</p><p>it <i>is.</i> A</p>") == [] and len(joints("<p>own(so. is.A</p>")) == 2
    seen = {"test_accuracy": 0.5, "attack_accuracy": 0.3, "interval": [0.1, 0.5], "reason": "beaten"}
    trials = [
        undefended(0),
        complete(1, 0.8, 0.2, stopped=STOPPED),
        complete(2, 0.7, 0.1, warnings=["weak judge"]),
        {"number": 3, "state": "screened", "screening": seen},
        {"number": 4, "state": "failed", "reason": "no memory"},
    ]
    study = {
        "trials": trials,
        "interval_holds": "95 % intervals of trials: each trial's own",
        "definition": {"trial": {"attack": {"kind": "gmi"}}},
    }
    alone = page(study)
    assert any("each trial's own (95 % intervals of" in line for line in written(alone))
    assert joints(alone) == []
    assert joints(page(study, {"study": "b", "trials": [complete(0, 0.9, 0.1)]})) == []


@pytest.mark.parametrize(("first", "cut"), [(0.8, True), (0.1, False)])
def test_an_axis_that_does_not_begin_at_zero_is_said(first, cut):
    study = {"trials": [complete(0, first, 0.5, on_front=False), complete(1, 0.95, 0.05)]}
    for text in (page(study), page(study, {"study": "b", "trials": [complete(0, 0.9, 0.2)]})):
        assert text.count("The upright axis does not begin at 0.") == cut


def test_one_trial_is_no_trials():
    warned = {"warnings": ["weak judge"]}
    one = "\n".join(written(page({"trials": [undefended(0, **warned)]})))
    assert "1 finished trial. " in one and "1 of 1\ntrial on the front" in one
    assert "weak judge (trial 0)" in one and "1 finished trial is too few to tell" in one
    two = "\n".join(written(page({"trials": [undefended(0, **warned), complete(1, 0.8, 0.3, **warned)]})))
    assert "2 finished trials. " in two and "2 of 2\ntrials on the front" in two
    assert "weak judge (all trials)" in two and "2 finished trials are too few to tell" in two


@pytest.mark.parametrize(
    ("warned", "said"),
    [
        ((0, 1, 2), "all trials"),
        ((0, 2), "trials 0, 2"),  # as many as finished
        ((0, 1), "trials 0, 1"),
    ],
)
def test_all_trials_are_all_that_can_warn(warned, said):
    seen = {"reason": "trial 0", "test_accuracy": 0.1, "attack_accuracy": 0.5, "interval": [0.3, 0.6]}
    trials = [
        undefended(0),
        complete(1, 0.8, 0.3),
        {"number": 2, "state": "screened", "screening": seen},
        {"number": 3, "state": "failed", "reason": "no memory"},
    ]
    told = [trial | ({"warnings": ["weak judge"]} if trial["number"] in warned else {}) for trial in trials]
    assert f"weak judge ({said})" in "\n".join(written(page({"trials": told})))


def test_nobody_verified_is_a_bound_as_in_the_terminal(capsys):
    bound = 1 - 0.05 ** (1 / 60)
    zero = [0.0, 0.06]
    trial = complete(
        0,
        0.9,
        0.2,
        interval={"attack_accuracy": [0.1, 0.3], "attack_accuracy_verified": zero},
        metrics={"attack_accuracy_verified": 0.0},
        people={"attacked": 60, "found": 12},
        stopped={**STOPPED, "attack_accuracy": 0.0, "interval": zero},
    )
    lines = written(page({"trials": [trial]}))
    words = f"below {100 * bound:.1f} % at 95 %"
    assert lines.count(words) >= 2  # where it stands alone; an arrow follows on a trial's own page
    assert "0.0 %" not in lines and not any(line.startswith("0.0 % ") for line in lines)
    show_front(as_study({"trials": [trial]}))
    out = capsys.readouterr().out
    assert out.count(f"below {bound:.3f} at 95 %") == 2 and not re.search(r"0\.000\b", out)


def test_measurements_of_judges_have_one_unit():
    metrics = {"judge_equal_error_rate": 0.008333, "judge_true_acceptance": 0.9417}
    metrics |= {f"judge_2.{name}": 0.012 for name in ("equal_error_rate", "true_acceptance")}
    lines = written(page({"trials": [complete(0, 0.9, 0.2, metrics=metrics)]}))
    told = {name: lines[lines.index(name) + 1] for name in lines if name.startswith("judge ")}
    assert told["judge equal error rate"] == "0.8 %" and told["judge true acceptance"] == "94.2 %"
    assert told["judge 2.equal error rate"] == "1.2 %"


def test_trials_that_all_miss_a_constraint_have_finished():
    missing = complete(0, 0.9, 0.3, feasible=False, on_front=False, reason="misses test_accuracy >= 0.99")
    text = written(page({"trials": [missing]}))
    assert "No finished trial keeps the constraints." in text and "No trial has finished yet." not in text
    assert "No trial has finished yet." in written(page({"trials": []}))


def test_of_no_front_no_share_is_dominated():
    missing = complete(0, 0.9, 0.3, feasible=False, on_front=False)
    text = page({"study": "kept", "trials": [complete(0, 0.9, 0.3)]}, {"study": "none", "trials": [missing]})
    rows = [
        re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", text, flags=re.DOTALL)
    ]
    shares = {row[0]: row[-2:] for row in rows if row[:1] in (["kept"], ["none"])}
    assert shares == {"kept": ["0.0", "%"], "none": ["–", "–"]}


def test_the_undefended_figures_at_the_top_are_those_of_the_first_sentence():
    """Fresh seeds', once there are some: the search's own were chosen for what they look like."""
    fresh = {"seeds": 2, "values": {"test_accuracy": 0.87, "attack_accuracy": 0.55}}
    fresh["interval"] = {"attack_accuracy": [0.4, 0.7]}
    searched, again = undefended(0), undefended(0, confirmed=fresh)
    confirmed = {"attacks": [], "seeds": 2, "hypervolume": 0.5, "fresh": ["seeds"]}
    for trial, figures in ((searched, ("95.0 %", "40.0 %")), (again, ("87.0 %", "55.0 %"))):
        study = {"trials": [trial, complete(1, 0.8, 0.2)]}
        lines = written(page(study | ({"confirmed": confirmed} if trial is again else {})))
        at = lines.index("test accuracy, undefended")
        assert (lines[at - 1], lines[at + 1]) == figures
        assert any(f"without a defense it is {' and '.join(figures)}." in line for line in lines)
