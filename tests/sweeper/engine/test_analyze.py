"""Which targets an analysis looks at, and by which keys; what it makes of them: ``tests/sweeper/cli``."""

import json
from dataclasses import replace

import pytest
import yaml
from toy_study import TOY

from sweeper.engine import analyze as module
from sweeper.engine.analyze import analyze
from sweeper.engine.progress import Silent
from sweeper.results.comparing.undefended import undefended_trial
from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.study.loading import parse_study
from trainables.errors import ConfigError

JUDGE = TOY["trial"]["judge"]
# freeze point -> (test accuracy, attack accuracy) under each of two seeds; the first is dominated, the last
# is undefended and told last
FIGURES = {"conv1": (0.5, 0.6), "conv2": (0.6, 0.3), "conv3": (0.8, 0.5), "none": (0.9, 0.7)}


@pytest.fixture
def ran(home):
    """Return a home with a study of four trials under two seeds, judged by eleven; no stage is real."""
    document = {
        **TOY,
        "trial": {**TOY["trial"], "judge": [{**JUDGE, "epochs": n} for n in range(1, 12)]},
        "space": [{"target.freeze_point": {"choice": list(FIGURES)}}],
        "search": {"trials": 4, "sampler": "grid", "anchors": False, "replicates": 2},
    }
    study = parse_study(document, "test")
    home.study("toy").mkdir(parents=True)
    (home.study("toy") / "study.yaml").write_text(yaml.safe_dump(document))
    book = OptunaStudy(study, home.storage, home.study("toy") / "history")
    waiting = {}
    for _ in FIGURES:
        asked = book.ask()
        waiting[asked.assignment["target.freeze_point"]] = asked
    for point, (accuracy, attacked) in FIGURES.items():
        asked = waiting[point]
        values = {"test_accuracy": accuracy, "attack_accuracy": attacked}
        seeds = [
            {"replicate": seed, "values": values, "artifacts": stages(home, asked.number, seed)}
            for seed in (0, 1)
        ]
        told = {"values": values, "metrics": {"validation_accuracy": accuracy}, "params": asked.assignment}
        told |= {"freeze_point": point, "defense": "none", "artifacts": seeds[0]["artifacts"]}
        assert book.tell(asked.number, {**told, "replicates": seeds, "warnings": [f"of {point}"]}) == ""
    return home, {point: asked.number for point, asked in waiting.items()}


def stages(home, number, seed):
    target = home.store.root / "target" / f"t{number}{seed}"
    target.mkdir(parents=True)
    (target / "result.json").write_text(json.dumps({"result": {}, "seconds": 1.0}))
    judges = {f"judge_{n}": f"/away/judge/j{n}" for n in (10, 2, 9, 11, *range(3, 9))}  # in no order
    attacks = {"attack.map": f"/away/attack/m{number}{seed}", "attack.map_2": f"/away/attack/n{number}{seed}"}
    return {"target": str(target), "judge": "/away/judge/j1", **judges, **attacks}


@pytest.fixture
def asked_for(ran, monkeypatch):
    """Return what calls `analyze` and gives its targets, none of which is measured."""

    def call(name, fails=(), **options):
        taken = []

        def figures(study, home, analysis, targets, display, *, address):
            taken.extend(targets)
            shares = ("confidence", "sure", "recognised", "false_positives")
            own = {f"{share}_per_identity": [0.5, 0.5] for share in shares}
            rows = [{"trial": target.trial, "attack": "map", "labels": [0, 1], **own} for target in targets]
            rows = [row for row in rows if row["trial"] not in fails]
            return rows, ["one failed", "of conv3"]

        monkeypatch.setattr(module, "analyze_trials", figures)
        told = analyze(name, "toy", ran[0], Silent(), **options)
        return taken, told

    return call


def test_the_front_is_looked_at_by_default_the_undefended_first_where_trials_are_compared(ran, asked_for):
    numbers = ran[1]
    front = sorted(numbers[point] for point in ("conv2", "conv3", "none"))
    plain = numbers["none"]
    targets, told = asked_for("layers")
    assert [target.trial for target in targets] == front and "comparisons" not in told
    targets, told = asked_for("false_positives")
    assert [target.trial for target in targets] == [plain, *(n for n in front if n != plain)]
    assert [(c["trial"], c["against"]) for c in told["comparisons"]] == [
        (number, plain) for number in front if number != plain
    ]
    _, told = asked_for("false_positives", fails=[plain])
    assert told["comparisons"] == []  # rather than against a defended one
    targets, _ = asked_for("false_positives", trials=[numbers["conv1"], plain, numbers["conv1"]])
    assert [target.trial for target in targets] == [numbers["conv1"], plain]  # each once, as asked for


def test_without_an_undefended_trial_nothing_is_compared_unless_it_was_asked_for(ran, asked_for, monkeypatch):
    home, numbers = ran
    records = study_records(home, "toy", history=False)
    trials = tuple(trial for trial in records.trials if trial.number != numbers["none"])
    monkeypatch.setattr(module, "study_records", lambda *_, **__: replace(records, trials=trials))
    targets, told = asked_for("false_positives")
    assert len(targets) > 1 and told["comparisons"] == []
    asked = [numbers["conv3"], numbers["conv2"]]
    _, told = asked_for("false_positives", trials=asked)
    assert [(each["trial"], each["against"]) for each in told["comparisons"]] == [tuple(reversed(asked))]


def test_of_several_undefended_trials_that_comes_first_which_all_tables_hold_the_study_against(
    ran, asked_for, monkeypatch
):
    home, numbers = ran
    records = study_records(home, "toy", history=False)
    trials = [replace(trial, freeze_point="none") for trial in records.trials]
    plain = replace(records, trials=trials)
    monkeypatch.setattr(module, "study_records", lambda *_, **__: plain)
    targets, told = asked_for("false_positives")
    assert undefended_trial(plain).number == numbers["none"] != min(numbers.values())
    assert targets[0].trial == numbers["none"]
    assert {each["against"] for each in told["comparisons"]} == {numbers["none"]}


def test_a_target_is_that_of_the_first_seed_with_its_attacks_and_its_judges_in_order(ran, asked_for):
    number = ran[1]["conv3"]
    ((target,), told) = asked_for("layers", trials=[number])
    assert target.target == f"t{number}0"
    assert target.attacks == {"map": f"m{number}0", "map_2": f"n{number}0"}
    assert target.judges == [f"j{n}" for n in range(1, 12)]
    assert (target.document["replicate"], target.document["target"]["freeze_point"]) == (0, "conv3")
    assert target.document["prior"] == TOY["trial"]["prior"]
    assert told["warnings"] == ["of conv3", "one failed"]  # each once


@pytest.mark.parametrize(("name", "needs"), [("layers", True), ("membership", False), ("cost", False)])
def test_a_target_that_is_gone_is_named_before_any_work_unless_none_is_needed(ran, asked_for, name, needs):
    home, numbers = ran
    gone = home.store.root / "target" / f"t{numbers['conv3']}0"
    (gone / "result.json").unlink()
    if needs:
        with pytest.raises(ConfigError, match=f"expected the target of trial {numbers['conv3']} in"):
            asked_for(name)
    else:
        targets, told = asked_for(name)
        assert len(targets) == 3 and told["warnings"] == ["one failed", "of conv3"]


def test_a_study_without_a_front_has_nothing_to_look_at(home):
    document = {**TOY, "name": "empty"}
    home.study("empty").mkdir(parents=True)
    (home.study("empty") / "study.yaml").write_text(yaml.safe_dump(document))
    OptunaStudy(parse_study(document, "test"), home.storage, home.study("empty") / "history")
    with pytest.raises(ConfigError, match="'empty' has no finished trial on its front yet"):
        analyze("layers", "empty", home, Silent())
