import pytest

from sweeper.study.constraints import check_together, parse_constraint
from trainables.errors import ConfigError

RESULT = {
    "values": {"test_accuracy": 0.75, "attack_accuracy": 0.25},
    "metrics": {"knn_distance": 3.0, "chance": float("nan")},
    "seconds": {"target": 12.0},
}


@pytest.mark.parametrize(
    ("text", "written", "violation"),
    [
        ("test_accuracy >= 0.8", "test_accuracy >= 0.8", 0.05),
        ("test_accuracy>=.75", "test_accuracy >= 0.75", 0.0),
        (" attack_accuracy <= 2e-1 ", "attack_accuracy <= 0.2", 0.05),
        ("knn_distance >= 2", "knn_distance >= 2", -1.0),
        ("train_seconds <= 10", "train_seconds <= 10", 2.0),
    ],
)
def test_a_violation_is_what_a_result_lacks(text, written, violation):
    limit = parse_constraint(text, "test")
    assert str(limit) == written
    assert limit.violation(RESULT) == pytest.approx(violation)


def test_a_result_without_the_measure_is_unknown():
    limit = parse_constraint("knn_distance >= 2", "test")
    assert limit.violation({}) is None
    assert limit.violation({"metrics": {"knn_distance": float("nan")}}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test_accuracy > 0.8", "a measure, >= or <=, and a number"),
        ("0.8 <= test_accuracy", "one of test_accuracy.*got '0'|a measure, >= or <="),
        ("acuracy >= 0.8", "one of test_accuracy.*got 'acuracy'"),
        ("test_acuracy >= 0.8", r"did you mean 'test_accuracy'\?"),
        ("test_accuracy >= 80", "a number from 0 to 1; got 80"),
        ("train_seconds <= -1", "a number of at least 0; got -1"),
        ("knn_distance >= much", "got much"),
        ("knn_distance >= nan", "got nan"),
        (0.8, "got 0.8"),
    ],
)
def test_each_mistake_is_named(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_constraint(text, "here")


@pytest.mark.parametrize(
    ("limits", "clash"),
    [
        (["test_accuracy >= 0.8", "test_accuracy <= 0.7"], (0, 1)),
        (["attack_accuracy <= 0.2", "knn_distance >= 1", "attack_accuracy >= 0.3"], (2, 0)),
        (["test_accuracy >= 0.8", "test_accuracy <= 0.8"], None),
        (["test_accuracy >= 0.8", "test_accuracy >= 0.7", "attack_accuracy <= 0.1"], None),
        (["test_accuracy <= 0.8", "test_accuracy <= 0.7"], None),
        ([], None),
    ],
)
def test_two_limits_that_no_value_keeps_are_named(limits, clash):
    parsed = [parse_constraint(text, "here") for text in limits]
    if clash is None:
        check_together(parsed, "here")
        return
    low, high = clash
    named = rf"'{limits[low]}' and '{limits[high]}' \(here: constraints\[{low}\] and constraints\[{high}\]\)"
    with pytest.raises(ConfigError, match=named):
        check_together(parsed, "here")
