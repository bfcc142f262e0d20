import pytest

from sweeper.study.metrics import objective_metrics
from sweeper.study.objectives import (
    bound,
    is_number,
    measured,
    reference_point,
    searched_accuracy,
    searched_name,
)


def test_figures_are_found_where_a_trial_puts_them():
    result = {"values": {"test_accuracy": 0.5}, "metrics": {"knn_distance": 4.0}, "seconds": {"target": 9.0}}
    figures = {name: measured(result, name) for name in objective_metrics()}
    assert figures == {
        "test_accuracy": 0.5,
        "validation_accuracy": None,
        "attack_accuracy": None,
        "attack_accuracy_verified": None,
        "knn_distance": 4.0,
        "train_seconds": 9.0,
    }
    assert measured({"seconds": None, "values": None}, "train_seconds") is None


def test_the_verified_accuracy_is_found_among_the_metrics_and_can_be_1_at_worst():
    name = "attack_accuracy_verified"
    assert measured({"metrics": {name: 0.25}}, name) == 0.25
    assert objective_metrics()[name].direction == "minimize" and bound(name, "minimize") == 1.0


def test_a_bound_is_the_worst_that_can_be():
    assert bound("test_accuracy", "maximize") == 0.0
    assert bound("attack_accuracy", "minimize") == 1.0
    assert bound("knn_distance", "maximize") == 0.0
    assert bound("train_seconds", "minimize") is None
    assert bound("nothing_known", "maximize") is None


def test_without_a_bound_the_worst_measured_counts():
    objectives = {"test_accuracy": "maximize", "train_seconds": "minimize", "old": "maximize"}
    rows = [
        {"test_accuracy": 0.5, "train_seconds": 3.0, "old": 2.0},
        {"test_accuracy": 0.6, "train_seconds": 7.0, "old": 4.0},
    ]
    assert reference_point(objectives, rows) == {"test_accuracy": 0.0, "train_seconds": 7.0, "old": 2.0}
    assert reference_point(objectives, []) == pytest.approx({"test_accuracy": 0.0})


@pytest.mark.parametrize(
    ("value", "number"),
    [(0.5, True), (3, True), (float("nan"), False), (-float("inf"), False), (None, False), ("0.5", False)],
)
def test_a_number_is_finite(value, number):
    assert is_number(value) is number


def test_a_search_on_validation_images_sees_their_accuracy_in_place_of_the_test_images():
    assert searched_name("test_accuracy", "validation") == "validation_accuracy"
    assert searched_name("test_accuracy", "test") == "test_accuracy"
    assert searched_name("attack_accuracy", "validation") == "attack_accuracy"


@pytest.mark.parametrize(
    ("definition", "accuracy"),
    [
        (None, "test"),
        ({}, "test"),
        ({"accuracy": "test"}, "test"),
        ({"accuracy": "validation"}, "validation"),
    ],
)
def test_a_study_from_before_the_choice_searched_test_images(definition, accuracy):
    assert searched_accuracy(definition) == accuracy
