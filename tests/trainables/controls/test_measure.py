"""All controls together: a planted leak is found, a crippled attack cannot tell."""

import json
from dataclasses import replace

import pytest
from planted import CRIPPLED, LEAK, PEOPLE, planted_trial

from trainables.attacks.plan import AttackPlan
from trainables.controls.measure import check_controls, measure_controls
from trainables.controls.options import Controls
from trainables.controls.power import power, verdict
from trainables.controls.results import ControlResults
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.judges.classifier import ClassifierJudge
from trainables.storage.store import Store
from trainables.trial import run_trial

SHORT = Controls(null_pictures=200, ceiling=False, positive=False, sampler=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def leaking(store):
    """The controls of a study over a planted leak, whose template has a defense."""
    trial = planted_trial(defense=MID(beta=10.0))
    return trial, measure_controls(trial, Controls(null_pictures=300), store=store)


def test_a_planted_leak_is_found(leaking, store):
    trial, results = leaking
    plain = run_trial(replace(trial, defense=planted_trial().defense), store=store)
    assert results.undefended.rates.mean == plain.values["attack_accuracy"] > 0.5
    assert results.undefended.interval == plain.interval["attack_accuracy"]
    assert results.undefended.test_accuracy == plain.values["test_accuracy"]
    assert results.null is not None and results.null.rates.mean == pytest.approx(1 / PEOPLE)
    assert results.verdict is not None and results.verdict.verdict == "tells"
    assert results.positive is not None and results.positive.epoch == trial.target.epochs
    assert results.sampler is not None and results.ceiling is not None
    measured = results.power
    assert measured == power(results.undefended.rates, results.null.rates, results.ceiling.rates)
    names = [
        control.name for control in (results.undefended, results.ceiling, results.positive, results.sampler)
    ]
    assert names == ["undefended", "ceiling", "positive", "sampler"]
    targets = {
        control.artifacts["target"] for control in (results.undefended, results.positive, results.sampler)
    }
    assert len(targets) == 3


def test_nothing_is_made_twice(leaking, store):
    trial, results = leaking
    reports = []
    again = measure_controls(
        trial, Controls(null_pictures=300), store=store, report=lambda *report, **_: reports.append(report)
    )
    assert again == results and reports == []


def test_the_results_survive_json(leaking):
    _, results = leaking
    document = json.loads(json.dumps(results.to_json(), allow_nan=False))
    again = ControlResults.from_json(document)
    assert again == results and again.power == results.power and again.verdict == results.verdict
    assert set(document["power"]) == {"null", "undefended", "ceiling", "power", "interval"}
    assert document["verdict"]["verdict"] == "tells"
    assert document["ceiling"]["attack_accuracy"] == results.ceiling.rates.mean
    assert document["null"]["rate"] == results.null.rates.mean


def test_a_crippled_attack_cannot_tell(store):
    results = measure_controls(
        planted_trial(CRIPPLED), replace(SHORT, positive=True, smoothing=0.2), store=store
    )
    assert results.null is not None and results.positive is not None
    result = results.verdict
    assert result is not None and result.verdict == "cannot tell"
    assert result == verdict(results.undefended.rates, results.null.rates, None, results.positive.rates)
    assert result.remedies[0] == "iterations"
    assert results.power is not None and results.power.power is None and results.power.ceiling is None


def test_what_is_switched_off_is_not_measured(store):
    results = measure_controls(planted_trial(), replace(SHORT, null_pictures=0), store=store)
    nothing = (
        results.null,
        results.ceiling,
        results.positive,
        results.sampler,
        results.power,
        results.verdict,
    )
    assert nothing == (None,) * 6
    assert ControlResults.from_json(json.loads(json.dumps(results.to_json()))) == results
    assert measure_controls(planted_trial(), SHORT, store=store).null.pictures == 200


def test_the_controls_run_the_strongest_attack_or_the_one_that_is_named(store):
    plans = tuple(AttackPlan(attack=attack, prior=planted_trial().prior) for attack in (CRIPPLED, LEAK))
    trial = replace(planted_trial(), attack=plans)
    strongest = measure_controls(trial, SHORT, store=store)
    assert strongest.attack == strongest.undefended.attack == "gmi_2"
    named = measure_controls(trial, replace(SHORT, attack="gmi"), store=store)
    assert named.attack == "gmi" and named.undefended.rates.mean < strongest.undefended.rates.mean


def test_what_does_not_fit_is_refused_before_any_work(tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(ConfigError, match=r"expected an attack of the trial, one of gmi; got 'gni'.*gmi"):
        measure_controls(planted_trial(), Controls(attack="gni"), store=store)
    judge = ClassifierJudge(architecture="small_resnet")
    with pytest.raises(ConfigError, match="another architecture than the judge's"):
        measure_controls(
            planted_trial(judge=judge), Controls(ceiling_architecture="small_resnet"), store=store
        )
    assert not (tmp_path / "store").exists()
    check_controls(planted_trial(judge=judge), Controls(ceiling=False, ceiling_architecture="small_resnet"))
