import random

import optuna
import pytest
from records import as_trial

from sweeper.results import importance as module
from sweeper.results.importance import ENOUGH, FRONT, distributions, importances

OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


def trials(count, seed=0):
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        params = {"strong": draw.random(), "weak": draw.random(), "kind": draw.choice(["a", "b"])}
        values = {"test_accuracy": 1 - (params["strong"] - 0.3) ** 2, "attack_accuracy": params["strong"]}
        found.append(as_trial({"params": params, "values": values}))
    return found


def test_the_parameter_that_decides_comes_first():
    found = importances(trials(200), OBJECTIVES)
    assert set(found) == {FRONT, *OBJECTIVES}
    for importance in found.values():
        shares = importance.shares
        assert sum(shares.values()) == pytest.approx(1)
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
    for name in OBJECTIVES:
        assert list(found[name].above) == ["strong"] and found[name].above["strong"] > 0.7


def test_directions_count():
    """The best by one direction lie where `a` is high; by the other they are all over `a`."""
    draw = random.Random(1)
    rows = []
    for _ in range(300):
        params = {"a": draw.random(), "b": draw.random()}
        value = params["a"] + 5 if params["a"] > 0.9 else params["b"]
        rows.append(as_trial({"params": params, "values": {"x": value}}))
    assert importances(rows, {"x": "maximize"})["x"].above["a"] > 0.8
    assert importances(rows, {"x": "minimize"})["x"].above["b"] > 0.8


def test_a_parameter_whose_values_are_lists_counts():
    draw = random.Random(1)
    rows = []
    for _ in range(200):
        params = {"trained": draw.choice([None, ["conv1"], ["conv2", "conv3"]]), "b": draw.random()}
        value = draw.random() + 5 * (params["trained"] == ["conv1"])
        rows.append(as_trial({"params": params, "values": {"x": value}}))
    assert list(importances(rows, {"x": "maximize"})["x"].above) == ["trained"]


def test_few_trials_tell_nothing():
    assert importances(trials(ENOUGH - 1), OBJECTIVES) == {}
    assert importances(trials(ENOUGH), OBJECTIVES)


def test_parameters_of_some_trials_and_one_value_only():
    rows = trials(100)
    for number, trial in enumerate(rows):
        trial.params["fixed"] = 3
        if trial.params["kind"] == "a":
            trial.params["only_a"] = number / 100
    found = importances(rows, OBJECTIVES)
    assert "fixed" not in found[FRONT].shares and next(iter(found["test_accuracy"].above)) == "strong"


def test_what_parameters_may_have_been_drawn_from():
    rows = [
        {"params": {"n": 1, "rate": 1e-4, "share": 0.1, "kind": "a", "on": True, "one": 2}},
        {"params": {"n": 5, "rate": 1e-1, "share": 0.9, "kind": None, "on": False, "one": 2, "rare": "x"}},
    ]
    found = distributions([as_trial(row) for row in rows])
    assert found == {
        "n": optuna.distributions.IntDistribution(1, 5),
        "rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
        "share": optuna.distributions.FloatDistribution(0.1, 0.9),
        "kind": optuna.distributions.CategoricalDistribution(["a", None]),
        "on": optuna.distributions.CategoricalDistribution([True, False]),
    }


def noise(seed, count=20, effect=0.0):
    """Return trials of four parameters, the first of which moves the accuracy by up to `effect`."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        params = {
            "share": draw.random(),
            "rate": 10 ** draw.uniform(-4, -1),
            "kind": draw.choice(["a", "b", "c"]),
            "depth": draw.randint(0, 7),
        }
        values = {
            "test_accuracy": draw.gauss(0, 1) + effect * params["share"],
            "attack_accuracy": draw.gauss(0, 1),
        }
        rows.append(as_trial({"params": params, "values": values}))
    return rows


def test_pure_noise_is_not_shown(monkeypatch):
    """30 studies that show anything in one case of twenty: more than 5 come in 3 of 1,000 runs."""
    monkeypatch.setattr(module, "SHUFFLES", 100)
    shown = biggest = 0
    for seed in range(30):
        found = importances(noise(seed), OBJECTIVES)
        shown += any(importance.above for importance in found.values())
        biggest += found["test_accuracy"].shares[next(iter(found["test_accuracy"].shares))] > 0.4
    assert shown <= 5
    assert biggest > 15  # what would have been read as an effect


def test_an_effect_is_shown_beside_noise():
    found = importances(noise(0, count=200, effect=8.0), {"test_accuracy": "maximize"})
    assert list(found["test_accuracy"].above) == ["share"]
    importance = found["test_accuracy"]
    assert importance.shares["share"] > importance.noise["share"]
    assert all(importance.shares[name] <= importance.noise[name] for name in ("rate", "kind", "depth"))


def test_the_same_trials_show_the_same():
    assert importances(noise(3), OBJECTIVES) == importances(noise(3), OBJECTIVES)


def test_trials_that_tie_count_as_the_evaluator_counts_them():
    rows = noise(4, count=40)
    for trial in rows:
        trial.values["test_accuracy"] = round(trial.values["test_accuracy"])
    found = importances(rows, {"test_accuracy": "maximize"})
    assert set(found["test_accuracy"].noise) == {"share", "rate", "kind", "depth"}
