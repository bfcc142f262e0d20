import json
from dataclasses import fields

import pytest

from sweeper.results.comparing.published import points
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord

ATTACK = {"kind": "gmi", "threat_model": "white-box", "interval": [0.1, 0.3], "metrics": {"x": None}}
REPLICATE = {
    "replicate": 3,
    "values": {"a": 0.5},
    "interval": {"a": [0.4, 0.6]},
    "artifacts": {"target": "t"},
    "data": {"private": "p"},
    "machines": {"target": None},
}
TRIAL = {
    "number": 7,
    "state": "complete",
    "params": {"x": 0.5},
    "values": {"a": 0.5},
    "on_front": True,
    "feasible": True,
    "interval": {"a": [0.4, 0.6]},
    "trained_params": 3,
    "total_params": 4,
    "seconds": {"target": 1.0},
    "metrics": {"knn_distance": None},
    "freeze_point": "none",
    "defense": "mid",
    "attacks": {"gmi": ATTACK},
    "strongest": "gmi",
    "people": {"attacked": 4, "found": 3},
    "data": {"private": "p"},
    "version": "1",
    "machines": {"target": {"device": "cpu", "name": "x", "threads": 2, "torch": "2"}, "attack": None},
    "replicates": [REPLICATE],
    "screening": {"attack": "gmi", "reason": ""},
    "warnings": ["weak judge"],
    "artifacts": {"target": "t"},
    "reason": "none",
    "started": "then",
    "finished": "now",
    "history": {"target": [{"loss": 1.0}]},
    "confirmed": {
        "seeds": 2,
        "values": {"a": 0.4},
        "interval": {"a": [0.3, 0.5]},
        "attacks": None,
        "replicates": [REPLICATE],
        "front_probability": 0.25,
        "fresh": ["seeds", "judge"],
    },
    "stopped": {"epoch": 3, "attack_accuracy": 0.5, "verdict": "leaks less"},
    "searched": {"b": 0.6},
    "missed": ["a >= 0.55"],
}
STUDY = {
    "study": "mine",
    "objectives": {"a": "maximize"},
    "reference_point": {"a": 0.0},
    "hypervolume": 0.5,
    "trials": [TRIAL],
    "confirmed": {"attacks": [{"kind": "kedmi"}], "seeds": 2, "hypervolume": 0.4, "fresh": ["seeds"]},
    "verdict": "tells",
    "reason": "a text",
    "power": 0.9,
    "remedies": [],
    "budget": None,
    "still_rising": None,
    "judges": [],
    "controls": {"verdict": {"verdict": "tells", "reason": "a text"}, "power": 0.9},
    "seed_noise": {"probit": 0.1, "accuracy": 0.02, "freedom": 4},
    "interval_holds": "a sentence",
    "people": [
        {
            "identity": 4,
            "name": "id_c",
            "recovered": 3,
            "attempts": 8,
            "rate": 0.375,
            "score": 0.5,
            "trials": [1, 2],
        }
    ],
    "panels": {"answers": 3},
    "searched": {"b": "maximize"},
    "analyses": {"layers": [{"trial": 1, "attack": "gmi", "layer": ["conv1"]}]},
}


def test_json_comes_back_with_the_order_of_its_keys():
    assert json.dumps(StudyRecords.from_json(STUDY).to_json()) == json.dumps(STUDY)
    assert set(TRIAL) == {part.name for part in fields(TrialRecord)}  # nothing is left out of this test


@pytest.mark.parametrize("missing", [name for name in TRIAL if name not in ("number", "state")])
def test_what_may_be_missing_is_missing_and_breaks_nothing(missing):
    document = {name: value for name, value in TRIAL.items() if name != missing}
    trial = TrialRecord.from_json(document)
    assert not getattr(trial, missing)
    written = trial.to_json()
    assert {name: value for name, value in written.items() if name != missing} == document
    assert not written.get(missing)
    assert TrialRecord.from_json({**TRIAL, missing: None}) == trial


def test_a_history_that_was_not_asked_for_is_no_key_and_an_empty_one_is():
    bare = {"number": 0, "state": "failed"}
    assert "history" not in TrialRecord.from_json(bare).to_json()
    assert TrialRecord.from_json({**bare, "history": {}}).to_json()["history"] == {}


def test_the_figures_to_believe_are_the_fresh_ones():
    trial = TrialRecord.from_json(TRIAL)
    assert trial.fresh.values == {"a": 0.4}
    assert TrialRecord.from_json({**TRIAL, "confirmed": None}).fresh.values == {"a": 0.5}


def test_a_published_row_says_no_more_than_what_is_printed():
    (record,) = points("attack=PPA,architecture=MaxViT,protocol=mean of seeds")
    keys = ["number", "state", "params", "values", "interval", "freeze_point", "defense", "flags", "source"]
    assert [list(trial.to_json()) for trial in record.trials] == [keys] * len(record.trials)
    assert json.loads(json.dumps(record.trials[0].to_json())) == record.trials[0].to_json()


def judged(number, top1, **metrics):
    figures = {
        "attack_accuracy_top1": top1,
        "judge_test_accuracy": 0.9,
        "judge_2.test_accuracy": 0.8,
        **metrics,
    }
    return {"number": number, "state": "complete", "metrics": figures}


def several_judges(*trials, kinds=("classifier", "embedder")):
    judges = [{"kind": kind} for kind in kinds]
    return StudyRecords.from_json(
        {**STUDY, "definition": {"trial": {"judge": judges}}, "trials": list(trials)}
    )


def test_other_judges_tell_agreement_and_false_positives_over_all_that_the_first_accepts():
    """Of 0.5 and 0.1 accepted in as many reconstructions, a tenth and a half are rejected: 0.1 of 0.6."""
    trials = [
        judged(0, 0.5, **{"judge_2.agreement": 0.9, "judge_2.false_positive_rate": 0.1}),
        judged(1, 0.1, **{"judge_2.agreement": 0.6, "judge_2.false_positive_rate": 0.5}),
        judged(2, 0.0, **{"judge_2.agreement": 0.3}),  # the first accepts none
    ]
    first, second = several_judges(*trials).judges
    assert first == {
        "kind": "classifier",
        "test_accuracy": 0.9,
        "agreement": None,
        "false_positive_rate": None,
    }
    assert second == {
        "kind": "embedder",
        "test_accuracy": 0.8,
        "agreement": pytest.approx(0.6),
        "false_positive_rate": pytest.approx(0.1 / 0.6),
    }


def test_judges_that_no_trial_knows_yet_are_not_told():
    assert several_judges().judges == []
    nobody = several_judges(judged(0, 0.0, **{"judge_2.agreement": 0.5})).judges[1]
    assert nobody["agreement"] == 0.5 and nobody["false_positive_rate"] is None
    (old,) = several_judges(
        {"number": 0, "state": "complete", "metrics": {"judge_test_accuracy": 0.9}}
    ).judges
    assert old["kind"] == "classifier"
