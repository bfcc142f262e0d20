"""Metrics as a trial asks for them, with a stand-in for what makes a metric of a mapping."""

import copy
import json
import re

import pytest

from trainables.errors import ConfigError
from trainables.metrics.requested import requested

PRDC = ("prdc_precision", "prdc_recall", "prdc_density", "prdc_coverage")


class Builder:
    """Stands in for the reader of mappings: a metric is its mapping as text; keeps where each was found."""

    def __init__(self) -> None:
        self.places = []

    def __call__(self, knobs, *, path):
        self.places.append(path)
        return json.dumps(knobs, sort_keys=True)


def asked(documents, build=None):
    """Return the mappings of which metrics are made."""
    made = requested(documents, build or Builder(), "study.yaml", "trial.metrics")
    assert isinstance(made, tuple)
    return [json.loads(text) for text in made]


def kinds(documents):
    return [knobs["kind"] for knobs in asked(documents)]


@pytest.mark.parametrize("collection", [list, tuple])
def test_a_name_is_a_metric_without_knobs_and_order_stays(collection):
    wanted = collection(["lpips", {"kind": "fid_images", "least": 5}, "centroid_distance"])
    assert asked(wanted) == [
        {"kind": "lpips"},
        {"kind": "fid_images", "least": 5},
        {"kind": "centroid_distance"},
    ]
    assert asked(collection()) == []


def test_a_group_is_all_its_metrics_with_the_knobs_that_it_was_given():
    assert asked([{"kind": "prdc", "neighbours": 2}]) == [{"kind": kind, "neighbours": 2} for kind in PRDC]
    assert kinds(["fid", "prdc"]) == ["fid", "fid_images", *PRDC]


def test_what_is_asked_for_twice_is_measured_once_where_it_was_first_named():
    assert kinds(["prdc_recall", "lpips", "prdc", "lpips"]) == [
        "prdc_recall",
        "lpips",
        "prdc_precision",
        "prdc_density",
        "prdc_coverage",
    ]


def test_other_knobs_make_it_another_metric():
    wide = {"kind": "prdc_recall", "neighbours": 9}
    assert asked(["prdc_recall", wide, dict(wide)]) == [{"kind": "prdc_recall"}, wide]


def test_each_is_read_at_its_place_in_the_list():
    build = Builder()
    asked(["lpips", "fid", {"kind": "centroid_distance"}], build)
    assert build.places == [f"trial.metrics[{position}]" for position in (0, 1, 1, 2)]


@pytest.mark.parametrize("odd", [{"neighbours": 2}, {"kind": ["fid"]}, {"kind": {"prdc": 1}}, {"kind": 7}])
def test_a_kind_that_is_no_name_is_left_to_the_reader_of_mappings_to_refuse(odd):
    assert asked([odd]) == [{"kind": None, **odd}]


def test_the_document_stays_as_it_was_given():
    documents = ["fid", {"kind": "prdc", "neighbours": 2}]
    before = copy.deepcopy(documents)
    asked(documents)
    assert documents == before


@pytest.mark.parametrize("given", [None, "prdc", {"kind": "fid"}, {"fid"}, 3])
def test_what_is_no_list_is_refused_with_its_place(given):
    expected = f"expected a list of metrics, got {given!r} (study.yaml: trial.metrics)"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        asked(given)


@pytest.mark.parametrize("given", [None, ["fid"], True, 0.5])
def test_what_is_neither_a_name_nor_a_mapping_is_refused_with_its_place(given):
    expected = f"expected a metric's name or a mapping, got {given!r} (study.yaml: trial.metrics[1])"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        asked(["lpips", given])
