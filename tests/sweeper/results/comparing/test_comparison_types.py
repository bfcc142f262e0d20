"""A comparison as JSON: written out by hand, with all that may be there and with nothing of it."""

import json

from records import as_trial

from sweeper.results.comparing.comparison_types import (
    Attained,
    AttainedEstimate,
    AttainmentLevel,
    ComparedPair,
    ComparedStudy,
    FrontComparison,
    FrontCrossing,
    LevelRange,
    PublishedSetup,
    VolumeEstimate,
)
from sweeper.results.comparing.published import PublishedTrial
from sweeper.results.record_types import StudyConfirmation

LEAD = VolumeEstimate(value=0.1, interval=(-0.1, 0.3), level=0.983, basis="images", probability=0.0)
HELD = as_trial({"number": 4, "values": {"test_accuracy": 0.9}})
POINT = PublishedTrial(number=2, state="complete", values={"attack_accuracy": 0.7})
FULL = FrontComparison(
    reference_point={"test_accuracy": 0.0, "attack_accuracy": 1.0},
    studies=(
        ComparedStudy(
            study="a",
            hypervolume=0.5,
            front=(HELD,),
            trials=7,
            estimate=VolumeEstimate(value=0.4, interval=(0.2, 0.6), basis="seeds"),
            seconds=1800.0,
            per_hour=1.0,
            at_equal_work=0.3,
            confirmed=StudyConfirmation(
                attacks=[{"kind": "gmi"}], seeds=3, hypervolume=0.45, fresh=("judge",)
            ),
        ),
        ComparedStudy(study="b", hypervolume=0.25, trials=0),
    ),
    dominated={"a": {"b": 0.0}, "b": {"a": 1.0}},
    pairs=(
        ComparedPair(
            studies=("a", "b"),
            difference=0.25,
            estimate=LEAD,
            ranges=(LevelRange(low=0.1, high=0.2, better="b", both=False),),
            crossings=(FrontCrossing(level=0.15, up_to="b", beyond=None),),
        ),
        ComparedPair(studies=("a", "c"), difference=-0.5, ranges=(), crossings=()),
        ComparedPair(studies=("c", "b"), difference=0.0),
    ),
    attainment=(
        AttainmentLevel(
            given="test_accuracy",
            level=0.8,
            attained="attack_accuracy",
            reached={
                "a": Attained(
                    value=0.3,
                    interval=(0.2, 0.4),
                    trial=4,
                    estimate=AttainedEstimate(value=0.35, interval=(0.25, 0.45)),
                ),
                "b": Attained(value=0.6, interval=None, trial=0),
                "c": None,
            },
        ),
    ),
    published=(
        PublishedSetup(
            name="KEDMI on VGG16",
            setup={"attack": "KEDMI"},
            hypervolume=0.125,
            front=(HELD,),
            points=(POINT,),
            doubts=("a row",),
            departures={"a": ("another judge",), "b": ()},
        ),
    ),
    outcome="neither",
    notes=("a note",),
    warnings={"a": {"weak judge": (0, 4)}, "b": {}},
)
DOCUMENT = {
    "reference_point": {"test_accuracy": 0.0, "attack_accuracy": 1.0},
    "studies": [
        {
            "study": "a",
            "hypervolume": 0.5,
            "front": [HELD.to_json()],
            "trials": 7,
            "estimate": {"value": 0.4, "interval": [0.2, 0.6], "level": 0.95, "basis": "seeds"},
            "seconds": 1800.0,
            "per_hour": 1.0,
            "at_equal_work": 0.3,
            "confirmed": {"attacks": [{"kind": "gmi"}], "seeds": 3, "hypervolume": 0.45, "fresh": ["judge"]},
        },
        {
            "study": "b",
            "hypervolume": 0.25,
            "front": [],
            "trials": 0,
            "estimate": None,
            "seconds": 0.0,
            "per_hour": None,
            "at_equal_work": 0.0,
            "confirmed": None,
        },
    ],
    "dominated": {"a": {"b": 0.0}, "b": {"a": 1.0}},
    "pairs": [
        {
            "studies": ["a", "b"],
            "difference": 0.25,
            "estimate": {  # a probability of zero is known
                "value": 0.1,
                "interval": [-0.1, 0.3],
                "level": 0.983,
                "basis": "images",
                "probability": 0.0,
            },
            "ranges": [{"from": 0.1, "to": 0.2, "better": "b", "both": False}],
            "crossings": [{"level": 0.15, "up_to": "b", "beyond": None}],
        },
        {"studies": ["a", "c"], "difference": -0.5, "estimate": None, "ranges": [], "crossings": []},
        {"studies": ["c", "b"], "difference": 0.0, "estimate": None},
    ],
    "attainment": [
        {
            "test_accuracy": 0.8,
            "attack_accuracy": {
                "a": {
                    "value": 0.3,
                    "interval": [0.2, 0.4],
                    "trial": 4,
                    "estimate": {"value": 0.35, "interval": [0.25, 0.45]},
                },
                "b": {"value": 0.6, "interval": None, "trial": 0, "estimate": None},
                "c": None,
            },
        }
    ],
    "published": [
        {
            "name": "KEDMI on VGG16",
            "setup": {"attack": "KEDMI"},
            "hypervolume": 0.125,
            "front": [HELD.to_json()],
            "points": [POINT.to_json()],
            "doubts": ["a row"],
            "departures": {"a": ["another judge"], "b": []},
        }
    ],
    "outcome": "neither",
    "notes": ["a note"],
    "warnings": {"a": {"weak judge": [0, 4]}, "b": {}},
}


def test_each_figure_stands_under_its_name_in_plain_data():
    assert FULL.to_json() == DOCUMENT
    assert json.loads(json.dumps(DOCUMENT, allow_nan=False)) == FULL.to_json()  # no tuple is left


def test_a_comparison_of_one_study_has_all_its_parts():
    alone = FrontComparison(reference_point={}, studies=()).to_json()
    assert list(alone) == list(DOCUMENT)
    assert {name: value for name, value in alone.items() if value} == {}


def test_a_pair_is_found_in_whichever_order_it_is_asked_for():
    for first, second, difference in (("a", "b", 0.25), ("a", "c", -0.5), ("b", "c", 0.0)):
        assert FULL.pair(first, second) is FULL.pair(second, first)
        assert FULL.pair(first, second).difference == difference
