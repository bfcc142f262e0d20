import json

import pytest

from sweeper.compare import compare, finished, front
from trainables.errors import ConfigError

OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


def record(name, points, objectives=OBJECTIVES):
    trials = [
        {"number": i, "state": "complete", "params": {}, "values": dict(zip(objectives, point, strict=True))}
        for i, point in enumerate(points)
    ]
    reference = {"test_accuracy": 0.0, "attack_accuracy": 1.0}
    return {"study": name, "objectives": objectives, "reference_point": reference, "trials": trials}


def test_comparison_of_two_fronts():
    a = record("a", [(0.5, 0.25), (0.75, 0.5), (0.5, 0.6)])
    b = record("b", [(0.8, 0.5)])
    found = compare([a, b])
    assert found["reference_point"] == {"test_accuracy": 0.0, "attack_accuracy": 1.0}
    assert [study["study"] for study in found["studies"]] == ["a", "b"]
    assert found["studies"][0]["hypervolume"] == pytest.approx(0.5 * 0.75 + 0.25 * 0.5)
    assert found["studies"][1]["hypervolume"] == pytest.approx(0.8 * 0.5)
    assert [trial["number"] for trial in found["studies"][0]["front"]] == [1, 0]
    assert [study["trials"] for study in found["studies"]] == [3, 1]
    assert found["dominated"] == {"a": {"b": 0.5}, "b": {"a": 0.0}}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_only_complete_finite_trials_count():
    one = record("a", [(0.5, 0.5), (0.9, 0.1), (0.9, float("nan")), (0.95, 0.05)])
    one["trials"][1]["state"] = "failed"
    del one["trials"][3]["values"]["attack_accuracy"]
    assert [trial["number"] for trial in finished(one)] == [0]
    assert [trial["number"] for trial in front(one)] == [0]
    assert compare([one])["studies"][0]["trials"] == 1


def test_a_study_without_results_has_an_empty_front():
    found = compare([record("a", []), record("b", [(0.5, 0.5)])])
    assert found["studies"][0] == {"study": "a", "hypervolume": 0.0, "front": [], "trials": 0}
    assert found["dominated"] == {"a": {"b": 0.0}, "b": {"a": 0.0}}


def test_the_order_of_objectives_does_not_matter():
    other = dict(reversed(OBJECTIVES.items()))
    a = record("a", [(0.5, 0.25)])
    b = record("b", [(0.25, 0.5)], other)
    found = compare([a, b])
    assert found["studies"][0]["hypervolume"] == found["studies"][1]["hypervolume"]


def test_the_reference_is_the_worst_named():
    objectives = {"test_accuracy": "maximize", "knn_distance": "maximize"}
    a, b = record("a", [(0.5, 3.0)], objectives), record("b", [(0.5, 4.0)], objectives)
    a["reference_point"], b["reference_point"] = {"knn_distance": 1.0}, {"knn_distance": 2.0}
    found = compare([a, b])
    assert found["reference_point"] == {"test_accuracy": 0.0, "knn_distance": 1.0}
    assert found["studies"][1]["hypervolume"] == pytest.approx(0.5 * 3.0)
    del a["reference_point"], b["reference_point"]
    with pytest.raises(ConfigError, match="none for 'knn_distance'"):
        compare([a, b])


def test_mistakes_are_named():
    a = record("a", [(0.5, 0.25)])
    with pytest.raises(ConfigError, match="at least one study; got none"):
        compare([])
    with pytest.raises(ConfigError, match="got 'a' more than once"):
        compare([a, a])
    b = record("b", [], {"test_accuracy": "maximize", "knn_distance": "maximize"})
    with pytest.raises(ConfigError, match=r"'a' has .*attack_accuracy: minimize, 'b' has .*knn_distance"):
        compare([a, b])
