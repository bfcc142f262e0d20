"""Verdict and power of stored controls under the noise of training seeds."""

import json
from dataclasses import replace

import pytest

from sweeper.results.controls.assessment import assessed
from trainables.controls.results import ControlResults, NullControl, TargetControl
from trainables.results import Interval


def target(name, hits, of=40):
    return TargetControl(
        name=name,
        attack="gmi",
        architecture="small_cnn",
        epoch=3,
        validation_accuracy=0.8,
        test_accuracy=0.8,
        interval=Interval(low=0.0, high=1.0),
        per_identity=(1.0,) * hits + (0.0,) * (of - hits),
        restarts=1,
        metrics={},
        seconds={},
        artifacts={},
    )


FLOOR = NullControl(
    prior="gmi",
    attack="gmi",
    saw_target=False,
    pictures=1000,
    per_identity=(0.025,) * 40,
    named=40,
    seconds=1.0,
    path="",
)


def stored(hits):
    results = ControlResults(
        attack="gmi", undefended=target("undefended", hits), null=FLOOR, ceiling=target("ceiling", 36)
    )
    return results, {"options": {}, "still_rising": {}, **json.loads(json.dumps(results.to_json()))}


@pytest.mark.parametrize(("deviation", "verdict"), [(0.05, "tells"), (0.6, "cannot tell")])
def test_seeds_enter_verdict_and_power(deviation, verdict):
    results, document = stored(7)
    assert document["verdict"]["verdict"] == "tells" and document["seed_deviation"] is None
    again = assessed(document, deviation)
    expected = replace(results, seed_deviation=deviation)
    assert again["verdict"] == expected.verdict.to_json() and again["verdict"]["verdict"] == verdict
    assert again["power"] == json.loads(json.dumps(expected.power.to_json()))
    assert "over people and training seeds" in again["verdict"]["reason"]
    assert again["seed_deviation"] == deviation
    assert {name: again[name] for name in ("options", "undefended", "null")} == {
        name: document[name] for name in ("options", "undefended", "null")
    }


def test_without_noise_or_with_that_which_is_in_it_a_document_stays_as_it_is():
    _, document = stored(7)
    assert assessed(document, None) is document and assessed(document, 0.0) is document
    again = assessed(document, 0.3)
    assert assessed(again, 0.3) is again
    assert assessed(again, 0.31) is not again


def test_without_a_floor_there_is_nothing_to_assess():
    _, document = stored(7)
    for other in (None, {}, {**document, "null": None}, {"verdict": {}, "null": {"rate": 0.1}}):
        assert assessed(other, 0.3) is other


def test_controls_of_older_studies_can_be_assessed():
    _, document = stored(7)
    del document["seed_deviation"]
    for name in ("undefended", "ceiling"):
        del document[name]["budget"]
    assert assessed(document, 0.6)["verdict"]["verdict"] == "cannot tell"
