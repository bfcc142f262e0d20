import random

import optuna
import pytest
from records import as_trial

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
    for shares in found.values():
        assert sum(shares.values()) == pytest.approx(1)
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
    for name in OBJECTIVES:
        assert next(iter(found[name])) == "strong" and found[name]["strong"] > 0.7


def test_directions_count():
    """The best by one direction lie where `a` is high; by the other they are all over `a`."""
    draw = random.Random(1)
    rows = []
    for _ in range(300):
        params = {"a": draw.random(), "b": draw.random()}
        value = params["a"] + 5 if params["a"] > 0.9 else params["b"]
        rows.append(as_trial({"params": params, "values": {"x": value}}))
    assert importances(rows, {"x": "maximize"})["x"]["a"] > 0.8
    assert importances(rows, {"x": "minimize"})["x"]["b"] > 0.8


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
    assert "fixed" not in found[FRONT] and next(iter(found["test_accuracy"])) == "strong"


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
