"""Budget curves against attacks of so many steps by themselves, and what they cost."""

import json
from dataclasses import replace

import pytest
from planted import LEAK, planted_trial

from trainables.attacks import ATTACKS
from trainables.attacks.gmi import GMI
from trainables.controls.budget import SHARES, make_budget
from trainables.controls.measure import measure_controls
from trainables.controls.options import Controls
from trainables.controls.results import TargetControl
from trainables.controls.targets import attack_target
from trainables.method import LENGTH, knobs_marked, length_share
from trainables.stages.target import make_target
from trainables.storage.store import Store
from trainables.trial import run_trial


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def points(trial, store):
    (plan,) = trial.attack
    return make_budget(trial, plan, make_target(trial, store=store), store=store)


@pytest.mark.parametrize("prefix", [True, False])
def test_each_point_is_the_attack_of_so_many_steps(store, tmp_path, monkeypatch, prefix):
    monkeypatch.setattr(GMI, "is_prefix_of_longer", prefix)
    trial = planted_trial()
    curve = points(trial, Store(tmp_path))
    assert [point.share for point in curve] == list(SHARES)
    assert [point.steps for point in curve] == [{"iterations": 5}, {"iterations": 10}, {"iterations": 20}]
    for point in curve:
        alone = run_trial(planted_trial(replace(LEAK, **point.steps)), store=store)
        assert point.per_identity == tuple(alone.attacks["gmi"].per_identity)
        assert point.interval == alone.attacks["gmi"].interval


def test_the_whole_attack_goes_on_from_the_last_point_and_finds_what_it_finds_alone(store, tmp_path):
    trial, fresh = planted_trial(), Store(tmp_path)
    trained = make_target(trial, store=fresh)
    control = attack_target("undefended", trial, "gmi", trained, budget=True, store=fresh)
    plain = run_trial(trial, store=store)
    assert control.per_identity == tuple(plain.attacks["gmi"].per_identity)
    assert not list((tmp_path / "attack").glob("*.unfinished"))
    assert [point.share for point in control.budget] == list(SHARES)


@pytest.mark.parametrize(
    ("iterations", "expected"), [(1, []), (2, [1]), (4, [1, 2]), (8, [1, 2, 4]), (9, [2, 3, 5])]
)
def test_shares_that_are_the_same_steps_are_measured_once(store, iterations, expected):
    curve = points(planted_trial(replace(LEAK, iterations=iterations)), store)
    assert [point.steps["iterations"] for point in curve] == expected


def test_an_attack_without_steps_has_no_curve(store, monkeypatch):
    monkeypatch.setattr("trainables.controls.budget.length_share", lambda *_: {})
    assert points(planted_trial(), store) == ()


def test_the_controls_hold_the_curve_of_both_targets_unless_it_is_switched_off(store):
    options = Controls(null_pictures=0, ceiling=False, sampler=False)
    results = measure_controls(planted_trial(), options, store=store)
    for control in (results.undefended, results.positive):
        assert [point.share for point in control.budget] == list(SHARES)
        document = json.loads(json.dumps(control.to_json(), allow_nan=False))
        assert TargetControl.from_json(document) == control
        rate = sum(control.budget[0].per_identity) / len(control.budget[0].per_identity)
        assert document["budget"][0]["attack_accuracy"] == pytest.approx(rate)
        del document["budget"]  # as older studies have it
        assert TargetControl.from_json(document) == replace(control, budget=None)
    without = measure_controls(planted_trial(), replace(options, budget=False), store=store)
    assert without.undefended == replace(results.undefended, budget=None)
    assert without.positive == replace(results.positive, budget=None)


def test_every_attack_that_says_how_long_it_runs_can_be_shortened():
    marked = [kind for kind, attack in ATTACKS.items() if knobs_marked(attack, LENGTH)]
    assert "gmi" in marked
    for kind in marked:
        attack = ATTACKS[kind]()
        assert length_share(attack, 1.0) == {name: getattr(attack, name) for name in length_share(attack, 1)}
