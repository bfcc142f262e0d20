"""Stopped targets against training by hand, and that few of them are attacked."""

import json
from dataclasses import replace

import pytest
import torch
from planted import CRIPPLED, LEAK, planted_trial

from trainables.attacks.plan import AttackPlan
from trainables.controls.stopped import (
    DefendedTrial,
    epoch_reaching,
    measure_stopped,
    per_person,
    spread_over,
    undefended_twin,
)
from trainables.defenses.mid import MID
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.stages.data import load_data
from trainables.stages.target import make_target, new_target
from trainables.storage.store import Store
from trainables.training.classifier import train_classifier
from trainables.trial import run_trial


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


TEMPLATE = planted_trial()


@pytest.fixture(scope="module")
def reached(store):
    """The undefended target's validation accuracy after each epoch."""
    return [row["validation_accuracy"] for row in make_target(TEMPLATE, store=store).result["history"]]


def defended(number, accuracy, **changes):
    config = planted_trial(defense=MID(beta=0.1), **changes)
    frozen = replace(config, target=replace(config.target, freeze_point="conv2"))
    return DefendedTrial(number=number, config=frozen, validation_accuracy=accuracy)


def test_the_first_epoch_that_reaches_an_accuracy():
    history = [
        {"epoch": float(n), "validation_accuracy": v} for n, v in ((1, 0.2), (2, 0.5), (3, 0.4), (4, 0.6))
    ]
    expected = {0.0: 1, 0.2: 1, 0.21: 2, 0.5: 2, 0.55: 4, 0.6: 4, 0.61: None}
    assert {accuracy: epoch_reaching(history, accuracy) for accuracy in expected} == expected


@pytest.mark.parametrize(
    ("epochs", "most", "expected"),
    [
        ([5, 2, 5, 9], 4, [2, 5, 9]),
        ([1, 2, 3, 4, 5], 2, [1, 5]),
        ([1, 2, 3, 4, 5], 3, [1, 3, 5]),
        ([1, 2, 3], 1, [3]),
        ([1, 2, 3], 0, []),
        ([], 4, []),
    ],
)
def test_few_epochs_are_spread_over_all(epochs, most, expected):
    spread = spread_over([(epoch, "none") for epoch in epochs], most)
    assert spread == [(epoch, "none") for epoch in expected]
    assert spread_over([(2, "conv2"), (2, "conv1"), (2, "conv2")], 4) == [(2, "conv1"), (2, "conv2")]


def test_the_twin_has_the_attack_of_the_trial_and_the_target_of_the_template():
    trial = defended(1, 0.5, attack=CRIPPLED).config
    twin = undefended_twin(trial, TEMPLATE)
    assert twin == replace(TEMPLATE, attack=trial.attack)


def test_alike_what_a_defense_is_held_against_is_frozen_as_it_is_and_else_the_template_s():
    trial = defended(1, 0.5, attack=CRIPPLED).config
    frozen = replace(TEMPLATE.target, freeze_point="conv2")
    assert undefended_twin(trial, TEMPLATE, alike=True) == replace(
        TEMPLATE, attack=trial.attack, target=frozen
    )
    other = {"freeze_point": "none", "trained": ("conv2",), "frozen_batchnorm": "train"}
    slower = replace(trial, target=replace(TEMPLATE.target, learning_rate=0.01, **other))
    assert undefended_twin(slower, TEMPLATE, alike=True).target == replace(TEMPLATE.target, **other)
    only_frozen = replace(trial, defense=TEMPLATE.defense)
    assert undefended_twin(only_frozen, TEMPLATE, alike=True).target == TEMPLATE.target


def test_a_stopped_target_that_is_frozen_alike_has_epochs_of_its_own(store, reached):
    trial = defended(2, 0.0)
    twin = replace(TEMPLATE, target=replace(TEMPLATE.target, freeze_point="conv2"))
    history = make_target(twin, store=store).result["history"]
    plain, alike = (
        measure_stopped(TEMPLATE, [trial], 4, alike=alike, store=store)[2] for alike in (False, True)
    )
    assert plain.freeze_point == "none" and plain.validation_accuracy == reached[0]
    assert alike.freeze_point == "conv2" and alike.validation_accuracy == history[0]["validation_accuracy"]
    stopped = make_target(twin, store=store, kept_epoch=1)
    result = run_trial(twin, store=store, trained=stopped)
    assert alike.attack_accuracy == result.values["attack_accuracy"]
    assert alike.test_accuracy == result.values["test_accuracy"]
    assert alike.to_json()["freeze_point"] == "conv2"


def test_the_undefended_target_is_trained_to_where_it_is_as_accurate(store, reached):
    accuracy = sorted(set(reached))[1]
    first = next(number for number, value in enumerate(reached, 1) if value >= accuracy)
    assert first < len(reached)
    control = measure_stopped(TEMPLATE, [defended(3, accuracy)], 4, store=store)[3]
    assert control is not None and control.epoch == first
    assert control.validation_accuracy == reached[first - 1]
    data = load_data(TEMPLATE)
    classifier = new_target(TEMPLATE, data.split.train.classes)
    train_classifier(
        classifier,
        TEMPLATE.target,
        TEMPLATE.defense,
        data.split.train,
        data.split.validation,
        run=Run(seed=derive(0, "replicate", 0)),
        kept_epoch=first,
    )
    stopped = make_target(TEMPLATE, store=store, kept_epoch=first)
    by_recipe = replace(TEMPLATE, target=replace(TEMPLATE.target, kept_epoch=first))
    assert make_target(by_recipe, store=store).path == stopped.path  # one stage, whoever asks
    stored = torch.load(stopped.path / "target.pt", weights_only=True)
    for name, value in classifier.state_dict().items():
        torch.testing.assert_close(stored[name], value, rtol=1e-4, atol=1e-5)
    result = run_trial(TEMPLATE, store=store, trained=stopped)
    assert control.attack_accuracy == result.values["attack_accuracy"]
    assert control.test_accuracy == result.values["test_accuracy"]
    assert control.interval == result.interval["attack_accuracy"]
    assert sum(control.per_identity) / len(control.per_identity) == pytest.approx(control.attack_accuracy)
    document = json.loads(json.dumps(control.to_json(), allow_nan=False))
    assert document["epoch"] == first and document["interval"] == control.interval.to_json()


def test_trials_of_like_accuracy_share_a_target_and_no_more_are_attacked_than_are_asked_for(store, reached):
    levels = [value for number, value in enumerate(reached) if value > max(reached[:number], default=-1.0)]
    assert len(levels) >= 3  # each is first reached by an epoch of its own
    trials = [
        defended(number, accuracy)
        for number, accuracy in enumerate([levels[0], levels[0], levels[1], levels[-1], 1.01])
    ]
    before = len(list((store.root / "attack").iterdir()))
    results = measure_stopped(TEMPLATE, trials, 2, store=store)
    assert results[0] == results[1] is not None and results[3] is not None
    assert results[2] is None  # no more than two
    assert results[4] is None  # never reached
    assert len(list((store.root / "attack").iterdir())) <= before + 2
    reports = []
    again = measure_stopped(TEMPLATE, trials, 2, store=store, report=lambda *line, **_: reports.append(line))
    assert again == results and reports == []  # nothing is made twice
    assert set(measure_stopped(TEMPLATE, trials, 0, store=store).values()) == {None}
    shares = [measure_stopped(TEMPLATE, trials, 2, share=(n, 2), store=store) for n in range(2)]
    assert [[n for n, control in share.items() if control] for share in shares] == [[0, 1], [3]]
    assert {n: control for share in shares for n, control in share.items() if control} == {
        n: control for n, control in results.items() if control
    }


def test_at_its_own_best_the_undefended_target_is_attacked_as_it_is(store, reached):
    control = measure_stopped(TEMPLATE, [defended(0, max(reached))], 1, store=store)[0]
    plain = run_trial(TEMPLATE, store=store)
    assert control is not None and control.attack_accuracy == plain.values["attack_accuracy"]
    assert control.epoch == reached.index(max(reached)) + 1


@pytest.mark.parametrize("suite", ["worst", "mean"])
def test_people_are_found_as_the_suite_counts(store, suite):
    plans = tuple(AttackPlan(attack=attack, prior=TEMPLATE.prior) for attack in (CRIPPLED, LEAK))
    trial = replace(TEMPLATE, attack=plans, suite=suite)
    result = run_trial(trial, store=store)
    rates = per_person(trial, result)
    weak, strong = (result.attacks[name].per_identity for name in ("gmi", "gmi_2"))
    by_hand = strong if suite == "worst" else [(a + b) / 2 for a, b in zip(weak, strong, strict=True)]
    assert rates == pytest.approx(tuple(by_hand))
    assert sum(rates) / len(rates) == pytest.approx(result.values["attack_accuracy"])
