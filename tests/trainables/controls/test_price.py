"""Price of the controls, counted by hand and against what they run."""

from collections import Counter
from dataclasses import replace

from planted import CRIPPLED, LEAK, planted_trial

from trainables.attacks.gmi import GMI
from trainables.attacks.plan import AttackPlan
from trainables.controls.measure import measure_controls
from trainables.controls.options import Controls
from trainables.controls.price import control_stages
from trainables.storage.store import Store

ALL = Controls(stopped=2)


def test_the_price_is_what_the_controls_run(tmp_path):
    store, options = Store(tmp_path), Controls(null_pictures=50, stopped=0)
    measure_controls(planted_trial(), options, store=store)
    made = Counter(path.parent.parent.name for path in store.root.glob("*/*/result.json"))
    price = control_stages(planted_trial(), options)
    assert made["target"] == price["target"] and made["ceiling"] == price["judge"]
    # Of a prefix the short runs are parts of the long one: stages, but no more work.
    assert made["attack"] == price["attack"] + 2 * 3 and made["verdict"] == price["evaluation"]


def test_targets_frozen_alike_are_trained_to_their_end_too():
    plain, alike = (
        control_stages(planted_trial(), replace(ALL, stopped_alike=alike)) for alike in (False, True)
    )
    assert alike == {**plain, "target": plain["target"] + 2}


def test_stopped_targets_are_trained_and_attacked(tmp_path):
    none, two = (control_stages(planted_trial(), replace(ALL, stopped=number)) for number in (0, 2))
    assert {stage: two[stage] - none[stage] for stage in two} == {
        "judge": 0,
        "target": 2,
        "attack": 2,
        "evaluation": 2,
    }


def test_a_curve_of_an_attack_that_begins_anew_costs_seven_eighths_of_it(monkeypatch):
    cheap = control_stages(planted_trial(), ALL)["attack"]
    monkeypatch.setattr(GMI, "is_prefix_of_longer", False)
    assert control_stages(planted_trial(), ALL)["attack"] == cheap + 2 * 0.875
    assert control_stages(planted_trial(), replace(ALL, budget=False))["attack"] == cheap


def test_of_several_attacks_all_run_on_the_undefended_target_and_the_strongest_on_the_others():
    plans = tuple(AttackPlan(attack=attack, prior=planted_trial().prior) for attack in (CRIPPLED, LEAK))
    trial = replace(planted_trial(), attack=plans)
    options = Controls(stopped=0, budget=False)
    assert control_stages(trial, options)["attack"] == 1 + 3 * 0.5
    assert control_stages(trial, replace(options, attack="gmi"))["attack"] == 4 * 0.5
    assert control_stages(trial, replace(options, budget=True))["attack"] == 1 + 3 * 0.5 + 0.25
