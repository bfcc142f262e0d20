"""Verdict and power of stored controls under the noise of training seeds."""

import json
from dataclasses import replace

import pytest

from sweeper.results import formatting
from sweeper.results.controls.assessment import assessed
from sweeper.statistics.seed_noise import PooledNoise
from trainables.controls.power import Rates, written
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
        interval=Rates(per_identity=(1.0,) * hits + (0.0,) * (of - hits), tries=1).interval,
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


def noise(probit):
    return PooledNoise(probit=probit, accuracy=0.0, freedom=4)


@pytest.mark.parametrize(("deviation", "verdict"), [(0.05, "tells"), (0.6, "cannot tell")])
def test_seeds_enter_verdict_and_power(deviation, verdict):
    results, document = stored(7)
    assert document["verdict"]["verdict"] == "tells" and document["seed_deviation"] is None
    again = assessed(document, noise(deviation))
    widened = noise(deviation).for_draws.probit
    assert again["verdict"]["verdict"] == verdict and again["seed_deviation"] == widened
    expected = replace(results, seed_deviation=widened)
    assert again["power"] == json.loads(json.dumps(expected.power.to_json()))
    assert "over people and training seeds" in again["verdict"]["reason"]
    assert {name: again[name] for name in ("options", "undefended", "null")} == {
        name: document[name] for name in ("options", "undefended", "null")
    }
    assert ControlResults.from_json(again).to_json()["verdict"] == again["verdict"]


@pytest.mark.parametrize("hits", [0, 2, 7, 36, 40])
def test_a_rate_has_one_interval_in_tables_and_in_the_verdict(hits):
    _, document = stored(hits)
    again = assessed(document, noise(0.6))
    rows = {name: (rate, ends) for name, _, _, rate, ends in formatting.controls(again)}
    rate, ends = rows["undefended"]
    own = document["undefended"]
    assert tuple(ends) == noise(0.6).around_rate(rate, own["interval"], people=40)
    assert written(rate, Interval.from_json(ends)) in again["verdict"]["reason"]
    if "best view of the people it reaches" in again["verdict"]["reason"]:
        rate, ends = rows["ceiling"]
        assert written(rate, Interval.from_json(ends)) in again["verdict"]["reason"]


def test_without_noise_or_with_that_which_is_in_it_a_document_stays_as_it_is():
    _, document = stored(7)
    assert assessed(document, None) is document and assessed(document, noise(0.0)) is document
    again = assessed(document, noise(0.3))
    assert assessed(again, noise(0.3)) is again
    assert assessed(again, noise(0.31)) is not again


def test_without_a_floor_there_is_no_verdict_to_assess():
    _, document = stored(7)
    bare = {**document, "null": None}
    again = assessed(bare, noise(0.3))
    assert again == {**bare, "with_seeds": again["with_seeds"]} and set(again["with_seeds"]) == {
        "undefended",
        "ceiling",
    }
    assert assessed(None, noise(0.3)) is None


def test_controls_of_older_studies_can_be_assessed():
    _, document = stored(7)
    for name in ("seed_deviation", "with_seeds"):
        del document[name]
    for name in ("undefended", "ceiling"):
        del document[name]["budget"]
    assert assessed(document, noise(0.6))["verdict"]["verdict"] == "cannot tell"
