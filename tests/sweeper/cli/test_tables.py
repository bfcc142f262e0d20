"""What a person reads at the end, from records written by hand."""

import pytest
from records import as_study

from sweeper.cli import tables as summary
from sweeper.engine.sweep import SweepResult
from sweeper.results.importance import Importance
from sweeper.results.seed_noise import with_seed_noise


def trial(number: int, accuracy: float, attack: float, **changes):
    return {
        "number": number,
        "state": "complete",
        "params": {"target.freeze_point": "conv2"},
        "values": {"test_accuracy": accuracy, "attack_accuracy": attack},
        "interval": {"attack_accuracy": [attack - 0.1, attack + 0.1]},
        "on_front": True,
        "trained_params": 1234567,
        "total_params": 2000000,
        "freeze_point": "conv2",
        "defense": "none",
        "warnings": [],
        "reason": None,
        **changes,
    }


def failed(number: int, reason: str):
    return trial(number, 0, 0, state="failed", values={}, on_front=False, reason=reason)


def records(*trials, **changes):
    reference = {"test_accuracy": 0.0, "attack_accuracy": 1.0}
    return as_study({"reference_point": reference, "hypervolume": 0.56789, "trials": list(trials)} | changes)


def rows(table: str) -> list[list[str]]:
    """Return the cells of each row of a printed table."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]


def test_the_front_is_a_table_the_most_accurate_first(capsys):
    defended = trial(
        2,
        0.9,
        0.25,
        params={"defense.kind": "bido", "defense.lambda_x": 0.05},
        defense="bido",
        freeze_point="none",
        trained_params=None,
    )
    summary.show_front(records(trial(0, 0.8, 0.2), trial(1, 0.7, 0.3, on_front=False), defended))
    out = capsys.readouterr().out
    assert out.startswith("Front of 'mine'")
    assert rows(out) == [
        ["2", "0.900", "0.250 [0.150, 0.350]", "none", "bido, λx 0.05", ""],
        ["0", "0.800", "0.200 [0.100, 0.300]", "conv2", "none", "1,234,567 of 2,000,000"],
    ]
    assert "hypervolume 0.5679 (reference point: test_accuracy 0, attack_accuracy 1)" in out


def test_what_else_was_varied_is_a_column_where_anything_was(capsys):
    near = trial(1, 0.9, 0.3, params={"pretraining.data.population": "near", "target.epochs": 3})
    summary.show_front(records(trial(0, 0.8, 0.2), near))
    out = capsys.readouterr().out
    assert "other knobs" in out
    assert [row[5] for row in rows(out)] == ["population near, epochs 3", ""]


def test_the_table_follows_the_first_objective_and_names_what_is_infeasible(capsys):
    trials = [
        trial(0, 0.8, 0.2),
        trial(1, 0.9, 0.1),
        trial(2, 0.5, 0.1, on_front=False, feasible=False, reason="misses test_accuracy >= 0.8"),
        trial(4, 0.6, 0.1, on_front=False, feasible=False, reason="misses test_accuracy >= 0.8"),
    ]
    for document in trials:
        document["values"]["train_seconds"] = 3.0
    objectives = {"attack_accuracy": "minimize", "train_seconds": "minimize"}
    reference = {"attack_accuracy": 1.0, "train_seconds": 7.5}
    summary.show_front(records(*trials, objectives=objectives, reference_point=reference))
    out = capsys.readouterr().out
    assert [row[0] for row in rows(out)] == ["1", "0"]  # the lowest attack accuracy first
    assert "(reference point: attack_accuracy 1, train_seconds 7.5, the worst measured)" in out
    assert "infeasible, misses test_accuracy >= 0.8: 2 trials (2, 4)" in out


def test_fresh_seeds_are_columns_and_who_is_doubtful_is_named(capsys):
    def fresh(accuracy, attack, sure):
        return {
            "seeds": 3,
            "values": {"test_accuracy": accuracy, "attack_accuracy": attack},
            "interval": {"attack_accuracy": [attack - 0.1, attack + 0.1]},
            "front_probability": sure,
        }

    confirmed = {"attacks": [{"kind": "kedmi"}], "seeds": 3, "hypervolume": 0.5432}
    found = records(
        trial(0, 0.8, 0.2, confirmed=fresh(0.79, 0.25, 0.31)),
        trial(1, 0.9, 0.3, confirmed=None),
        trial(2, 0.7, 0.2, on_front=False, confirmed=fresh(0.8, 0.2, 0.876)),
        trial(3, 0.6, 0.2, on_front=False, confirmed=fresh(0.6, 0.2, 0.1)),
        confirmed=confirmed,
    )
    summary.show_front(found)
    out = capsys.readouterr().out
    assert rows(out) == [
        ["1", "0.900", "0.300 [0.200, 0.400]", "not again", "", "conv2", "none"],
        ["0", "0.790", "0.250 [0.150, 0.350]", "0.800, 0.200", "31%", "conv2", "none"],
    ]
    assert (
        "measured again under at least 3 fresh seeds, and further attacks: kedmi: hypervolume 0.5432" in out
    )
    assert "probably not on the front: trial 0\n" in out
    assert "not by the search's own figures: trial 2\n" in out


def test_screened_trials_are_named(capsys, cheap):
    from sweeper.engine.runner import summary as line

    seen = {"test_accuracy": 0.5, "attack_accuracy": 0.25, "reason": "trial 0 is better even so"}
    beaten = trial(3, 0, 0, state="screened", values={}, on_front=False, feasible=None, screening=seen)
    summary.show_front(records(trial(0, 0.8, 0.2), beaten))
    assert "screened after a short attack: 1 trial (3)\n" in capsys.readouterr().out
    assert line(cheap(), {**beaten, "params": {"x": 0.5}}, 61) == (
        "screened by a short attack: test_accuracy 0.500, attack_accuracy 0.250; "
        "trial 0 is better even so (x=0.5) after 1 min 01 s"
    )


def test_an_empty_front_is_an_empty_table(capsys):
    summary.show_front(records())
    assert rows(capsys.readouterr().out) == []


def test_warnings_and_failures_are_counted_on_stderr(capsys):
    weak = {"warnings": ["weak judge [0.6]"]}
    found = records(
        trial(0, 0.8, 0.2, **weak),
        trial(1, 0.7, 0.1, **weak),
        failed(2, "no [memory]"),
        failed(3, "the loss is not finite"),
        failed(4, "the loss is not finite"),
    )
    summary.show_warnings(found, ["MLflow failed"])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "WARNING: weak judge [0.6] (2 trials)",
        "WARNING: MLflow failed",
        "3 failed trials:",
        "  2 x the loss is not finite",
        "  1 x no [memory]",
    ]
    summary.show_warnings(records(trial(0, 0.8, 0.2)), [])
    assert capsys.readouterr().err == ""
    summary.show_warnings(records(trial(0, 0.8, 0.2, **weak), failed(1, "no [memory]")), [])
    assert capsys.readouterr().err.splitlines() == [
        "WARNING: weak judge [0.6] (1 trial)",
        "1 failed trial:",
        "  1 x no [memory]",
    ]


def test_one_trial_is_no_trials(capsys):
    limit = "test_accuracy >= 0.8"
    trials = [
        trial(0, 0.9, 0.5, missed=["test_accuracy >= 0.95"]),
        trial(1, 0.5, 0.1, on_front=False, feasible=False, reason=f"misses {limit}"),
    ]
    summary.show_front(records(*trials))
    out = capsys.readouterr().out
    assert f"infeasible, misses {limit}: 1 trial (1)\n" in out
    assert "missed on test images, test_accuracy >= 0.95: 1 trial (0)\n" in out
    summary.show_front(records(*trials, {**trials[1], "number": 2}))
    assert f"infeasible, misses {limit}: 2 trials (1, 2)\n" in capsys.readouterr().out


@pytest.mark.parametrize(("before", "complete"), [(0, False), (1, False), (2, True)])
def test_the_end_of_a_run_says_where_to_look(home, cheap, capsys, before, complete):
    study = cheap(search={"trials": 2}, tracking={"mlflow": True})
    outcome = SweepResult(records(trial(0, 0.8, 0.2), trial(1, 0.7, 0.1)), before, home.report("mine"), [])
    summary.show(outcome, study, home)
    out = capsys.readouterr().out
    assert ("study 'cheap' is complete: 2 trials; nothing to run" in out) == complete
    assert f"report:  {home.root}/studies/mine/report.html\n" in out
    assert f"browse:  sweeper ui --home {home.root}\n" in out


def test_what_was_not_written_is_not_named(home, cheap, capsys):
    summary.show(SweepResult(records(), 0, None, []), cheap(), home)
    out = capsys.readouterr().out
    assert "report:" not in out and "browse:" not in out


def undefended(number: int, accuracy: float, attack: float, **changes):
    own = {"params": {}, "freeze_point": "none", "trained_params": 2000000, "metrics": {"chance": 0.025}}
    return trial(number, accuracy, attack, **own | changes)


def test_an_undefended_trial_stands_in_the_table_even_if_it_is_dominated(capsys):
    trials = [
        trial(0, 0.9, 0.5),
        undefended(1, 0.85, 0.6, on_front=False),
        undefended(2, 0.5, 0.7, on_front=False),
        trial(3, 0.8, 0.2),
        trial(4, 0.7, 0.4, on_front=False),
    ]
    summary.show_front(records(*trials))
    out = capsys.readouterr().out
    assert [row[0] for row in rows(out)] == ["0", "1", "3"]
    assert [row[-1] for row in rows(out)] == ["front", "dominated", "front"]
    assert rows(out)[1][3:5] == ["none", "none"]


def test_an_undefended_trial_on_the_front_is_a_member_like_any_other(capsys):
    summary.show_front(
        records(undefended(0, 0.9, 0.5), undefended(1, 0.95, 0.4, on_front=False, feasible=False))
    )
    first, second = rows(capsys.readouterr().out)
    assert (first[0], first[-1]) == ("1", "infeasible")
    assert (second[0], second[-1]) == ("0", "front")
    summary.show_front(records(undefended(0, 0.9, 0.5)))
    assert "standing" not in capsys.readouterr().out  # nothing to say


def test_the_caption_says_what_a_guess_reaches(capsys):
    summary.show_front(records(undefended(0, 0.9, 0.5)))
    assert "attack accuracy of a guess (chance): 0.025\n" in capsys.readouterr().out.replace("  ", "")
    two = undefended(1, 0.8, 0.4, metrics={"chance": 0.5})
    summary.show_front(records(undefended(0, 0.9, 0.5), two))
    assert "(chance): 0.025, 0.5" in capsys.readouterr().out
    objectives = {"test_accuracy": "maximize"}
    reference = {"test_accuracy": 0.0}
    summary.show_front(records(undefended(0, 0.9, 0.5), objectives=objectives, reference_point=reference))
    assert "chance" not in capsys.readouterr().out


def test_all_trials_are_shown_on_request_and_each_says_where_it_stands(capsys):
    seen = {"test_accuracy": 0.5, "attack_accuracy": 0.25, "reason": "trial 0 is better even so"}
    trials = [
        trial(0, 0.9, 0.5),
        trial(1, 0.7, 0.6, on_front=False),
        trial(2, 0.6, 0.1, on_front=False, feasible=False, reason="misses test_accuracy >= 0.8"),
        trial(3, 0, 0, state="screened", values={}, on_front=False, screening=seen),
        failed(4, "no memory"),
    ]
    summary.show_front(records(*trials), everything=True)
    out = capsys.readouterr().out
    assert out.startswith("Trials of 'mine'")
    table = rows(out)
    assert [row[0] for row in table] == ["0", "1", "2", "3", "4"]
    assert [row[-1] for row in table] == ["front", "dominated", "infeasible", "screened", "failed"]
    assert table[3][1:3] == table[4][1:3] == ["–", "–"]


def test_warnings_that_differ_in_numbers_alone_are_one(capsys):
    trials = [trial(n, 0.8, 0.2, warnings=[f"weak judge: 0.83, below the target's 0.9{n}"]) for n in range(3)]
    summary.show_warnings(records(*trials), [])
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "WARNING: weak judge: 0.83, below the target's 0.90; others alike (3 trials)"


def test_the_distance_of_the_pre_training_stands_below_the_front(capsys):
    def shown(probe):
        metrics = {"validation_accuracy": 0.9, "probe_accuracy": probe, "probe_chance": 0.05}
        summary.show_front(records(trial(0, 0.8, 0.2, freeze_point="none", metrics=metrics)))
        return capsys.readouterr().out

    near, far = shown(0.8), shown(0.2)
    assert "names 80.0 % of private validation images rightly (guessing names 5.0 %" in near
    assert "that is near" in near and "near pre-training is a risk of its own" in near
    assert "names 20.0 %" in far and "that is far" in far and "risk" not in far
    assert "pre-training" not in shown(None)


def test_controls_stand_below_the_front_with_what_they_tell(capsys):
    document = {
        "study": "one",
        "objectives": {"test_accuracy": "maximize", "attack_accuracy": "minimize"},
        "reference_point": {"test_accuracy": 0.0, "attack_accuracy": 1.0},
        "controls": {
            "null": {"rate": 0.025, "interval": [0.01, 0.05]},
            "undefended": {"attack_accuracy": 0.6, "interval": [0.5, 0.7], "test_accuracy": 0.9},
            "power": None,
            "verdict": {"verdict": "tells", "reason": "0.600 is clear of 0.025", "remedies": []},
        },
    }
    summary.show_front(as_study(document))
    text = capsys.readouterr().out
    assert "0.025 [0.010, 0.050]" in text and "0.600 [0.500, 0.700]" in text
    assert "This study tells: 0.600 is clear of 0.025." in text
    summary.show_front(as_study({**document, "controls": None}))
    assert "Controls" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (None, "intervals without training seeds: the study has no noise replicates\n"),
        ({"results": []}, "intervals without training seeds: noise replicates not finished\n"),
        (
            {
                "results": [
                    {"member": 0, "replicate": 1, "values": {"test_accuracy": 0.8, "attack_accuracy": 0.3}}
                ]
            },
            "and training seeds, whose noise is pooled, with 1 degree of freedom; of other figures a mean "
            "over several seeds has the noise of its own, and one seed has none\n",
        ),
    ],
)
def test_the_table_says_what_its_intervals_hold(capsys, stored, shown):
    people = {"attacked": 40, "found": 9}
    measured = records(trial(0, 0.8, 0.2, people=people))
    summary.show_front(with_seed_noise(measured, stored))
    assert shown in capsys.readouterr().out


def test_nobody_found_is_a_bound_in_every_table(capsys, cheap):
    from sweeper.cli.attack import show_attack
    from sweeper.engine.runner import summary as line

    bound = f"below {1 - 0.05 ** (1 / 60):.3f} at 95 %"
    squared = 1.959963984540054**2
    ends = [0.0, squared / (60 + squared)]  # Wilson's, of 0 of 60
    people = {"attacked": 60, "found": 0}
    zero = {"interval": {"attack_accuracy": ends}, "people": people}
    again = {"seeds": 2, "values": {"test_accuracy": 0.8, "attack_accuracy": 0.0}, "interval": {}}
    controls = {
        "null": {"rate": 0.0, "interval": ends},
        "undefended": {"attack_accuracy": 0.0, "interval": ends, "test_accuracy": 0.9},
    }
    summary.show_front(records(trial(0, 0.8, 0.0, **zero), trial(1, 0.7, 0.1), controls=controls))
    table = rows(capsys.readouterr().out)
    assert table[0][2] == bound and table[1][2] == "0.100 [0.000, 0.200]"
    assert [row[2] for row in table[2:]] == [bound, bound]
    confirmed = {"attacks": [], "seeds": 2, "hypervolume": 0.5}
    summary.show_front(records(trial(0, 0.8, 0.0, **zero, confirmed=again), confirmed=confirmed))
    (row,) = rows(capsys.readouterr().out)
    assert row[2] == bound and row[3] == f"0.800, {bound}"
    ended = {**trial(0, 0.8, 0.0, **zero), "params": {"x": 0.5}}
    assert f"attack_accuracy {bound} (x=0.5)" in line(cheap(), ended, 1)
    seen = {"test_accuracy": 0.5, "attack_accuracy": 0.0, "interval": ends, "reason": "beaten"}
    beaten = {**trial(3, 0, 0, state="screened", screening=seen), "params": {}}
    assert f"attack_accuracy {bound}; beaten" in line(cheap(), beaten, 1)
    metrics = {"attack_accuracy_top1": 0.0, "attack_accuracy_top5": 0.0, "chance": 1 / 60}
    attack = {"threat_model": "labels", "interval": ends, "metrics": metrics, "seconds": {}}
    shown = {
        "checkpoint": "c",
        "attacks": {"brep": attack},
        "metrics": metrics,
        "people": people,
        "values": {"test_accuracy": 0.8},
        "strongest": "brep",
        "artifacts": {"attack": "a"},
    }
    show_attack(shown)
    assert capsys.readouterr().out.count(bound) == 2


def test_what_decides_is_named_above_noise_alone(capsys, monkeypatch):
    found = Importance(shares={"x": 0.8, "y": 0.2}, noise={"x": 0.5, "y": 0.4})
    noise = Importance(shares={"x": 0.6, "y": 0.4}, noise={"x": 0.9, "y": 0.8})
    told = {"the front": found, "test_accuracy": noise}
    monkeypatch.setattr("sweeper.results.importance.importances", lambda trials, objectives: told)
    summary.show_front(records(trial(0, 0.8, 0.2)))
    out = capsys.readouterr().out
    assert "what decides the front: x 80% (noise reaches 50%)\n" in out
    assert "what decides test accuracy: no parameter above noise\n" in out


@pytest.mark.parametrize("searched", ["test_accuracy", "validation_accuracy", "train_seconds", None])
def test_stopped_targets_stand_below_the_front_and_a_rising_attack_is_a_warning(searched, capsys):
    other = {} if searched is None else {searched: "maximize"}
    stopped = {
        "epoch": 4,
        "test_accuracy": 0.81,
        "attack_accuracy": 0.525,
        "interval": [0.37, 0.67],
        "difference": 0.2,
        "p": 0.01,
        "verdict": "leaks less",
    }
    points = [{"share": 0.5, "attack_accuracy": 0.2, "interval": [0.1, 0.3]}]
    document = {
        "study": "one",
        "objectives": {**other, "attack_accuracy": "minimize"},
        "reference_point": {**dict.fromkeys(other, 0.0), "attack_accuracy": 1.0},
        "trials": [
            {"number": 3, "values": {**dict.fromkeys(other, 0.8), "attack_accuracy": 0.325}, "on_front": True}
            | {"searched": {**dict.fromkeys(other, 0.8), "attack_accuracy": 0.325}, "stopped": stopped}
        ],
        "controls": {
            "undefended": {"attack_accuracy": 0.6, "interval": [0.5, 0.7], "test_accuracy": 0.9}
            | {"budget": points},
            "still_rising": {"undefended": True},
        },
    }
    summary.show_front(as_study(document))
    text = capsys.readouterr().out
    beside = rows(text[text.index("stopped where it is as accurate") :])
    known = "0.800" if searched == "test_accuracy" else "–"  # a trial has what it searched for
    assert beside[0][:6] == ["3", known, "0.325", "4", "0.810", "0.525 [0.370, 0.670]"]
    assert "leaks less" in text
    assert "0.200, 0.600 with half and all of its steps; still rising" in text
    summary.show_warnings(as_study(document), [])
    assert "still rising" in capsys.readouterr().err
    del document["trials"][0]["stopped"], document["controls"]["still_rising"]
    summary.show_front(as_study(document))
    assert "stopped" not in capsys.readouterr().out
    summary.show_warnings(as_study(document), [])
    assert "rising" not in capsys.readouterr().err


VERIFIED = {
    "metrics": {
        "attack_accuracy_verified": 0.15,
        "attack_accuracy_top1": 0.2,
        "judge_test_accuracy": 0.9,
        "judge_2.test_accuracy": 0.85,
        "judge_2.agreement": 0.7,
        "judge_2.false_positive_rate": 0.25,
    },
    "interval": {"attack_accuracy": [0.1, 0.3], "attack_accuracy_verified": [0.05, 0.25]},
}


def test_the_verified_accuracy_stands_beside_attack_accuracy_and_the_judges_below(capsys):
    definition = {"trial": {"judge": [{"kind": "classifier"}, {"kind": "onnx"}]}}
    summary.show_front(records(trial(0, 0.8, 0.2, **VERIFIED), trial(1, 0.7, 0.1), definition=definition))
    out = capsys.readouterr().out
    front = rows(out)
    assert front[0][1:4] == ["0.800", "0.200 [0.100, 0.300]", "0.150 [0.050, 0.250]"]
    assert front[1][3] == "–"  # of an older version
    assert "Judges, the first of which counts" in out
    assert front[-1][:2] == ["2: onnx", "85.0 %"] and front[-1][-2:] == ["70.0 %", "25.0 %"]


def test_a_verified_accuracy_that_is_searched_for_is_no_second_column(capsys):
    objectives = {"test_accuracy": "maximize", "attack_accuracy_verified": "minimize"}
    document = trial(0, 0.8, 0.2, **VERIFIED)
    document["values"] = {"test_accuracy": 0.8, "attack_accuracy_verified": 0.15}
    reference = {"test_accuracy": 0.0, "attack_accuracy_verified": 1.0}
    summary.show_front(records(document, objectives=objectives, reference_point=reference))
    out = capsys.readouterr().out
    assert rows(out)[0][1:4] == ["0.800", "0.150 [0.050, 0.250]", "conv2"]


def test_it_says_which_images_chose_and_who_is_behind_on_the_others(capsys):
    def row(number, tested, checked, attacked, **changes):
        seen = {"validation_accuracy": checked, "attack_accuracy": attacked}
        return trial(number, tested, attacked, searched=seen, feasible=True, **changes)

    limit = "test_accuracy >= 0.65"
    both = row(0, 0.6, 0.9, 0.5, missed=[limit]), row(1, 0.7, 0.5, 0.3)
    way = {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
    summary.show_front(records(*both, searched=way))
    out = capsys.readouterr().out
    assert [row[-1] for row in rows(out)] == ["front", "front, behind, misses limit"]
    assert "Searched and chosen by validation accuracy" in out
    assert "dominated by another member on test images: trial 0\n" in out
    assert f"kept while searching, missed on test images, {limit}: 1 trial (0)" in out
    summary.show_front(records(trial(0, 0.8, 0.2)))
    assert "Searched and chosen by test accuracy" in capsys.readouterr().out
