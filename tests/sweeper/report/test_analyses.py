"""What report and terminal show of analyses."""

import dataclasses
import json
from xml.etree import ElementTree

import pytest
from records import as_study

from sweeper.report.analyses import (
    COMPARISON_COLUMNS,
    CONCLUSION,
    conclusion_beside,
    figures_table,
    rows_table,
    sections,
)
from sweeper.report.layers_plot import layers_svg
from sweeper.report.report import render, write_report
from sweeper.results.comparing.undefended import undefended_trial
from trainables.analyses import ANALYSES

SHARES = [
    f"{name}_share" for name in ("classification", *(f"inversion_{d}" for d in ("l2", "squared_l2", "l1")))
]


def layers(trial):
    lists = {name: [0.25, 0.75] for share in SHARES for name in (share, share.removesuffix("_share"))}
    return {
        "trial": trial,
        "attack": "gmi",
        "layer": ["conv1", "<head>"],
        "parameters": [3, 4],
        **lists,
        "suggested_freeze_point": "conv1",
    }


def positives(trial, rate):
    judged = {"judge": ["classifier"], "recognised": [rate], "false_positives": [0.0]}
    people = {f"{name}_per_identity": [rate, rate] for name in ("confidence", "sure")}
    people |= {f"{name}_per_identity.classifier": [rate, 0.0] for name in ("recognised", "false_positives")}
    return {
        "trial": trial,
        "attack": "gmi",
        "confidence": rate,
        "sure": rate,
        "sure_interval": [0.1, 0.9],
        **judged,
        "false_positive_rate": [None],
        **people,
        "labels": [7001, 7002],
    }


def trials(*defenses):
    return [
        {
            "number": number,
            "defense": defense,
            "freeze_point": "none",
            "params": {},
            "values": {"test_accuracy": 0.5, "attack_accuracy": 0.25},
        }
        for number, defense in enumerate(defenses)
    ]


def test_a_table_has_the_columns_of_its_analysis_and_lists_line_by_line():
    table = figures_table("false_positives", [positives(3, 0.5)])
    columns = [column.replace("_", " ") for column in ANALYSES["false_positives"].columns]
    assert table.columns == ["trial", "attack", *columns]
    ((trial, attack, confidence, sure, judge, recognised, false, rate),) = table.rows
    assert [trial, attack, confidence, judge] == [["3"], ["gmi"], ["0.5"], ["classifier"]]
    assert sure == ["0.5 [0.1, 0.9]"] and [recognised, false, rate] == [["0.5"], ["0"], ["-"]]
    (row,) = figures_table("layers", [layers(None)]).rows
    assert row[:4] == [[""], ["gmi"], ["conv1", "<head>"], ["3", "4"]]


def test_a_section_says_what_an_analysis_does_not_show_and_compares_with_the_undefended():
    record = as_study(
        {
            "trials": trials("bido", "none"),
            "analyses": {
                "layers": [layers(1)],
                "false_positives": [positives(0, 0.25), positives(1, 0.5)],
                "of_another_version": [{"trial": 0, "attack": "gmi"}],
            },
        }
    )
    compared, drawn = sections(record)
    assert (compared["name"], drawn["name"]) == ("false_positives", "layers")
    for shown in (compared, drawn):
        assert ANALYSES[shown["name"]].limits in shown["limits"]
    assert [row[0] for row in compared["table"].rows] == [["1"], ["0"]]
    assert compared["comparison"].columns == COMPARISON_COLUMNS
    assert compared["comparison"].rows[0][:5] == [["0"], ["1"], ["gmi"], ["confidence"], ["-0.25"]]
    assert [text.partition(":")[0] for text in compared["conclusions"]] == [
        "trial 0, gmi, by judge classifier"
    ]
    assert drawn["comparison"] is None and drawn["plot"] and not compared["plot"]
    assert sections(as_study({"trials": trials("none")})) == []


@pytest.mark.parametrize(
    ("measured", "against"),
    [((0, 1, 2, 3), 3), ((0, 2, 3), 3), ((0, 1, 2), 1), ((0, 2), None), ((1,), None), ((), None)],
)
def test_nothing_is_held_against_a_defended_trial(measured, against):
    """The undefended trial of the study is the most accurate, or else an undefended one, or none."""
    record = as_study({"trials": trials("bido", "none", "mid", "none")})
    record.trials[3].values["test_accuracy"] = 0.9
    record = dataclasses.replace(record, analyses={"false_positives": [positives(n, 0.5) for n in measured]})
    assert undefended_trial(record).number == 3
    (shown,) = sections(record)
    others = [number for number in measured if number != against] if against else []
    rows = shown["comparison"].rows if shown["comparison"] else []
    assert list(dict.fromkeys((row[0][0], row[1][0]) for row in rows)) == [
        (str(number), str(against)) for number in others
    ]
    assert len(shown["conclusions"]) == len(others) and len(shown["table"].rows) == len(measured)


def test_the_page_shows_them_without_people():
    analyses = {"layers": [layers(1)], "false_positives": [positives(0, 0.25), positives(1, 0.5)]}
    page = render([as_study({"trials": trials("bido", "none"), "analyses": analyses})], images=False)
    assert page.count("<h2>Analyses</h2>") == 1 and "<td>conv1<br>&lt;head&gt;</td>" in page
    for name in analyses:
        assert f"<h3>{name}</h3>" in page and ANALYSES[name].limits in page
    assert "7001" not in page and 'class="layers"' in page
    bare = render([as_study({"trials": trials("bido", "none")})], images=False)
    assert "Analyses" not in bare and 'class="layers"' not in bare


def test_the_style_of_a_plot_reaches_no_other_one_of_the_page():
    svg = ElementTree.fromstring(layers_svg([layers(1)]))
    assert svg.get("class") == "layers"
    style = "".join(each.text or "" for each in svg.iter() if each.tag.endswith("style"))
    rules = style.replace("@media(prefers-color-scheme:dark){", "").replace("}", "}\n").split()
    selectors = [rule.partition("{")[0] for rule in "".join(rules).split("}") if rule]
    assert selectors and all(selector.startswith(".layers") for selector in selectors)


def test_what_rounding_leaves_of_a_difference_is_shown_as_none():
    table = rows_table([{"difference": -1.5e-17, "difference_interval": [-0.1, 0.1]}, {"difference": -0.015}])
    assert table.columns == ["difference"]
    assert table.rows == [[["0 [-0.1, 0.1]"]], [["-0.015"]]]


CONCLUDED = {
    "analysis": "accuracy_control",
    "study": "mine",
    "rows": [{"freeze_point": "conv<3>", "shift": -0.5, "shift_interval": [-0.75, -0.25], "p": None}],
    "sentences": ["frozen up to conv<3>, targets leak less"],
    "does_not_show": "A checkpoint differs in more than accuracy.",
    "points": [{"series": "conv<3>", "test_accuracy": 0.5, "attack_accuracy": 0.25}],
}


@pytest.mark.parametrize("points", [True, False])
def test_the_report_of_a_derived_study_has_its_conclusion(tmp_path, points):
    document = CONCLUDED if points else {**CONCLUDED, "points": []}
    (tmp_path / CONCLUSION).write_text(json.dumps(document))
    record = as_study({"trials": trials("none", "bido"), "analyses": {"layers": [layers(1)]}})
    write_report([record], tmp_path / "report.html", images=False)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<h2>Analyses</h2>") == 1 and "<h3>layers</h3>" in page
    own = page.partition("<h3>accuracy_control</h3>")[2].partition("<h3>layers</h3>")[0]
    assert "What this does not show. A checkpoint differs in more than accuracy." in own
    assert "<li>frozen up to conv&lt;3&gt;, targets leak less</li>" in own
    assert "<td>conv&lt;3&gt;</td><td>-0.5 [-0.75, -0.25]</td><td>-</td>" in own
    assert ('data-series="conv&lt;3&gt;"' in own) == points


def test_a_conclusion_of_another_study_or_half_a_one_is_none(tmp_path):
    report, path = tmp_path / "report.html", tmp_path / CONCLUSION
    assert conclusion_beside(report, "mine") is None
    path.write_text(json.dumps(CONCLUDED))
    assert conclusion_beside(report, "mine") == CONCLUDED and conclusion_beside(report, "other") is None
    for text in ("[]", "{", json.dumps({"study": "mine", "analysis": "pretraining"})):
        path.write_text(text)
        assert conclusion_beside(report, "mine") is None
