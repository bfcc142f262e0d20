"""The model card as Markdown: what it says of few and of many measurements, and of names of any kind."""

import json
from dataclasses import replace

import pytest
from records import as_study

from sweeper.results import model_card
from sweeper.results.model_card import card
from sweeper.results.person_record import PersonRecord
from sweeper.results.trial_record import Replicate

CONFIG = {"target": {"architecture": "small_cnn"}, "image_size": 32, "attack": []}
VALUES = {"test_accuracy": 0.9, "attack_accuracy": 0.2}


def written(*trials, folder="release", controls=None, **options):
    records = as_study({"trials": [{"number": n, "values": VALUES, **t} for n, t in enumerate(trials)]})
    records = replace(records, controls=controls)
    released = Replicate(replicate=0, values=VALUES)
    return card(records, records.trials[0], released, CONFIG, 4, folder, **options)


@pytest.mark.parametrize(
    ("seeds", "trials", "sentence"),
    [
        (1, 1, "- Measured once. `sweeper confirm` measures it again."),
        (1, 5, "- Measured once. Of many trials it looked good, so these figures are likely to be a little"),
        (3, 5, "- Measured under 3 seeds. Of many trials it looked good, so these figures are likely to be"),
    ],
)
def test_how_often_it_was_measured_and_from_how_many_it_was_chosen(seeds, trials, sentence):
    replicates = [{"replicate": n, "values": VALUES} for n in range(seeds)] if seeds > 1 else []
    text = written({"replicates": replicates}, *[{}] * (trials - 1))
    assert sentence in text


@pytest.mark.parametrize("name", ["a|b", "two\nlines", "<script>x</script>", "back\\slash|", 'é, "quoted" *'])
def test_a_name_of_any_kind_leaves_the_table_a_table(monkeypatch, name):
    person = PersonRecord(identity=0, name=name, recovered=1, attempts=2, score=0.5)
    monkeypatch.setattr(model_card, "recovered", lambda trials: (person, replace(person, identity=1)))
    lines = written({}, names=True).splitlines()
    start = lines.index("| who | recovered | rate | best score |")
    for line in lines[start : start + 4]:
        assert line.replace("\\\\", "").replace("\\|", "").count("|") == 5
    assert "<script>" not in "\n".join(lines) and lines[start + 4] == ""


def test_the_defense_tells_its_own_figures():
    figures = {"metrics": {"dp_epsilon": 12.43, "dp_delta": 3.1e-4}}
    text = written({**figures, "defense": "dp_sgd"})
    assert "- Defense 'dp_sgd': an image has a privacy budget of epsilon 12.4 at delta 0.00031, and" in text
    assert "privacy budget" not in written({**figures, "defense": "none"}) + written({"defense": "dp_sgd"})


@pytest.mark.parametrize("folder", ["release", 'said "so"', "back\\slash", "é"])
def test_the_example_is_python_that_names_the_folder(folder):
    text = written({}, folder=folder)
    (line,) = [line for line in text.splitlines() if line.startswith("released = load_released(")]
    names = {"load_released": lambda given: given}
    exec(line, names)
    assert names["released"] == folder
    assert json.dumps("release") in written({})


@pytest.mark.parametrize(("verdict", "stars"), [("tells", ""), ("cannot tell", "**")])
def test_whoever_gets_the_release_reads_what_the_controls_tell(verdict, stars):
    controls = {"verdict": {"verdict": verdict, "reason": "0.5 beside 0.4", "remedies": []}, "power": None}
    stopped = {"epoch": 3, "test_accuracy": 0.9, "attack_accuracy": 0.5, "p": 0.02, "verdict": "leaks less"}
    text = written({"stopped": stopped}, controls=controls | {"still_rising": {"undefended": True}})
    assert f"- {stars}This study {verdict}: 0.5 beside 0.4.{stars}\n" in text
    assert "\n- Trial 0 leaks less than the undefended target stopped at its accuracy: " in text
    assert "\n- **attack accuracy on the undefended target is still rising: " in text
    assert not any(word in written({}) for word in ("This study", "stopped", "rising"))


@pytest.mark.parametrize("pairs", [112, 1000])
def test_the_card_says_how_few_others_reach_a_score_that_is_verified(pairs):
    text = written({"metrics": {"judge_test_accuracy": 0.8, "judge_false_acceptance": 1 / pairs}})
    assert f"own test accuracy: 80.0 %; verified are scores that one in {pairs} others reach" in text
    assert "verified are" not in written({"metrics": {"judge_test_accuracy": 0.8}})
