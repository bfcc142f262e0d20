import pytest
from records import as_study

from sweeper.cli.comparison_table import show_comparison
from sweeper.results.comparing.compare import compare
from sweeper.results.comparing.published import points

OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


def record(name, rows, spread=0.01):
    document = {
        "study": name,
        "objectives": OBJECTIVES,
        "trials": [
            {
                "number": number,
                "state": "complete",
                "params": {},
                "values": {"test_accuracy": accuracy, "attack_accuracy": attacked},
                "interval": {"attack_accuracy": [attacked - spread, attacked + spread]},
                "seconds": {"target": 1800.0},
            }
            for number, (accuracy, attacked) in enumerate(rows)
        ],
    }
    return as_study(document)


def cells(out):
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if "│" in line]


def test_hypervolume_dominance_attainment_and_the_outcome(capsys):
    found = compare([record("first", [(0.9, 0.5), (0.6, 0.1)]), record("second", [(0.8, 0.6)])])
    show_comparison(found)
    out = capsys.readouterr().out
    assert out.startswith("Hypervolume against test_accuracy 0, attack_accuracy 1")
    table = cells(out)
    first = next(row for row in table if row[0] == "first" and row[1] == "2")
    volume = 0.9 * 0.5 + 0.6 * 0.4
    assert first[2:4] == ["2", f"{volume:.4f}"] and first[6] == f"{volume:.3g}"  # an hour of work
    low, high = found.studies[0].estimate.interval
    assert f"[{low:.3f}, {high:.3f}]" in first[4]
    assert ["first", "", "0%"] in table and ["second", "100%", ""] in table
    assert any(row[0] == "0.85" and "0.500" in row[1] and row[2] == "not reached" for row in table)
    assert out.rstrip().endswith(found.outcome)
    assert "note: 95 % intervals of trials: each trial's own" in out
    assert "note: 95 % intervals of what trials are drawn again for" in out


def test_an_attained_figure_has_its_trials_own_interval_and_an_estimate_that_is_named_as_one(capsys):
    found = compare([record("first", [(0.9, 0.5), (0.9, 0.49), (0.89, 0.51)], spread=0.12)])
    show_comparison(found)
    lines = capsys.readouterr().out.splitlines()
    (row,) = [number for number, line in enumerate(lines) if "│           0.9 │" in line]
    assert "0.490 [0.370, 0.610], trial 1" in lines[row]
    (best,) = [entry.reached["first"] for entry in found.attainment if entry.level == pytest.approx(0.9)]
    low, high = best.estimate.interval
    assert f"without luck {best.estimate.value:.3f} [{low:.3f}, {high:.3f}]" in lines[row + 1]
    assert (low, high) != best.interval


def test_warnings_of_either_study_are_on_stderr(capsys):
    weak = as_study(
        {
            "study": "weak",
            "objectives": OBJECTIVES,
            "trials": [
                {
                    "number": number,
                    "params": {},
                    "values": {"test_accuracy": 0.5, "attack_accuracy": 0.25},
                    "warnings": [f"weak judge: 0.8, below the target's 0.9{number}"],
                }
                for number in range(3)
            ],
        }
    )
    found = compare([record("sound", [(0.9, 0.5)]), weak])
    show_comparison(found)
    out, err = capsys.readouterr()
    text = "weak judge: 0.8, below the target's 0.90; others alike"
    assert err.splitlines() == [f"WARNING: {text} ('weak', 3 trials)"]
    assert "WARNING" not in out
    warned = {"values": weak.trials[0].values, "warnings": ["weak judge"]}
    one = as_study({"study": "one", "trials": [warned]})
    show_comparison(compare([record("sound", [(0.9, 0.5)]), one]))
    assert capsys.readouterr().err.splitlines() == ["WARNING: weak judge ('one', 1 trial)"]
    assert found.to_json()["warnings"] == {"sound": {}, "weak": {text: [0, 1, 2]}}


def test_one_study_has_no_rivals(capsys):
    show_comparison(compare([record("alone", [(0.9, 0.5)])]))
    assert "rival" not in capsys.readouterr().out


def test_published_points_are_listed_with_their_doubts(capsys):
    published = points("attack=PPA,architecture=MaxViT,protocol=mean of seeds")
    show_comparison(compare([record("mine", [(0.9, 0.5)])], published=published))
    out = capsys.readouterr().out
    assert "Published points, under conditions of their own" in out
    for trial in published[0].trials:
        assert any(f"{trial.values['test_accuracy']:.4f}" in row for row in cells(out))
    assert "set-up of 'mine' against PPA on MaxViT" in out
    assert f"doubtful in {published[0].study}: setup_unknown" in out


def test_a_minimised_level_is_no_least_and_no_front_is_no_share_of_it(capsys):
    turned = {name: OBJECTIVES[name] for name in reversed(OBJECTIVES)}
    rows = [
        {"values": {"test_accuracy": 0.9, "attack_accuracy": 0.3}, "feasible": feasible}
        for feasible in (True, False)
    ]
    studies = [
        as_study({"study": name, "objectives": turned, "trials": [row]})
        for name, row in zip(("kept", "infeasible"), rows, strict=True)
    ]
    show_comparison(compare(studies))
    out = " ".join(capsys.readouterr().out.split())
    assert "Best test accuracy where attack accuracy is at least as good as this" in out
    assert "of at least" not in out
    assert "│ infeasible │ – │ │" in out and "│ kept │ │ 0% │" in out
