import json

import pytest
from records import as_study

from sweeper.report.report import render
from sweeper.results.comparing import compare as module
from sweeper.results.comparing.published import points
from trainables.errors import ConfigError

OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


def record(name, points, objectives=OBJECTIVES):
    trials = [
        {"number": i, "state": "complete", "params": {}, "values": dict(zip(objectives, point, strict=True))}
        for i, point in enumerate(points)
    ]
    reference = {"test_accuracy": 0.0, "attack_accuracy": 1.0}
    return {"study": name, "objectives": objectives, "reference_point": reference, "trials": trials}


def compare(records, **options):
    """Return the comparison as JSON, of records as JSON."""
    return module.compare([as_study(record) for record in records], **options).to_json()


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
    assert [trial.number for trial in module.finished(as_study(one))] == [0]
    assert [trial.number for trial in module.front(as_study(one))] == [0]
    assert compare([one])["studies"][0]["trials"] == 1


def test_a_study_without_results_has_an_empty_front():
    found = compare([record("a", []), record("b", [(0.5, 0.5)])])
    first = found["studies"][0]
    assert (first["study"], first["hypervolume"], first["front"], first["trials"]) == ("a", 0.0, [], 0)
    assert first["estimate"] is None and first["per_hour"] is None
    assert found["dominated"] == {"a": {"b": 0.0}, "b": {"a": 0.0}}


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("third", ["train_seconds", "knn_distance"])
def test_a_study_that_failed_throughout_needs_no_reference_point(third, finished):
    """What has no worst is held against the worst that was measured, and nothing was."""
    objectives = {**OBJECTIVES, third: "minimize" if third == "train_seconds" else "maximize"}
    failed = record("a", [(0.5, 0.5, 9.0)], objectives)
    failed["trials"][0] |= {"state": "failed", "values": {}}
    other = record("b", [(0.5, 0.5, 9.0)] if finished else [], objectives)
    other["reference_point"] |= {third: 12.0 if third == "train_seconds" else 0.0} if finished else {}
    found = compare([failed, other])
    volumes = [study["hypervolume"] for study in found["studies"]]
    depth = {"train_seconds": 12.0 - 9.0, "knn_distance": 9.0}[third]
    assert volumes == pytest.approx([0.0, 0.5 * 0.5 * depth if finished else 0.0])
    assert found["studies"][0]["front"] == []
    assert "No trial has finished yet" in render([as_study(failed)], images=False)


def test_the_order_of_objectives_does_not_matter():
    other = dict(reversed(OBJECTIVES.items()))
    a = record("a", [(0.5, 0.25)])
    b = record("b", [(0.25, 0.5)], other)
    found = compare([a, b])
    assert found["studies"][0]["hypervolume"] == found["studies"][1]["hypervolume"]


def test_the_reference_is_the_worst_named():
    objectives = {"test_accuracy": "maximize", "train_seconds": "minimize"}
    a, b = record("a", [(0.5, 3.0)], objectives), record("b", [(0.5, 4.0)], objectives)
    a["reference_point"], b["reference_point"] = {"train_seconds": 9.0}, {"train_seconds": 8.0}
    found = compare([a, b])
    assert found["reference_point"] == {"test_accuracy": 0.0, "train_seconds": 9.0}
    assert found["studies"][1]["hypervolume"] == pytest.approx(0.5 * 5.0)
    del a["reference_point"], b["reference_point"]
    with pytest.raises(ConfigError, match="none for 'train_seconds'"):
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


def test_infeasible_trials_are_finished_but_on_no_front():
    one = record("a", [(0.9, 0.1), (0.8, 0.2)])
    one["trials"][0]["feasible"] = False
    one["trials"][1]["feasible"] = True
    found = compare([one])["studies"][0]
    assert found["trials"] == 2
    assert [trial["number"] for trial in found["front"]] == [1]
    assert found["hypervolume"] == pytest.approx(0.8 * 0.8)


def sure(name, points, spread):
    one = record(name, points)
    for trial in one["trials"]:
        attacked = trial["values"]["attack_accuracy"]
        trial["interval"] = {"attack_accuracy": [attacked - spread, attacked + spread]}
    return one


def test_intervals_and_what_they_say_of_a_lead():
    a, b = sure("a", [(0.9, 0.5), (0.6, 0.1)], 0.02), sure("b", [(0.9, 0.7), (0.6, 0.3)], 0.02)
    found = compare([a, b])
    first, second = found["studies"]
    for study in (first, second):
        low, high = study["estimate"]["interval"]
        assert low < study["hypervolume"] < high
        assert study["estimate"]["basis"] == "intervals"
    assert first["estimate"]["interval"][0] > second["estimate"]["interval"][1]
    (pair,) = found["pairs"]
    assert pair["studies"] == ["a", "b"]
    assert pair["difference"] == pytest.approx(0.3 * 0.2 + 0.6 * 0.2)
    assert pair["estimate"]["interval"][0] > 0 and "probability" not in pair["estimate"]
    assert pair["crossings"] == [] and [part["better"] for part in pair["ranges"]] == ["a"]
    said = "'a' has a higher hypervolume than 'b' as measured (0.690 against 0.510), but how sure that is is"
    assert found["outcome"].startswith(said)
    assert any("under another seed" in note for note in found["notes"])
    assert any("nothing is said of recipes" in note for note in found["notes"])
    for study in (a, b):
        study["seed_noise"] = {"probit": 0.1, "accuracy": 0.01, "freedom": 4}
    known = compare([a, b])
    assert known["outcome"].startswith(said)
    assert known["studies"][0]["estimate"]["basis"] == "intervals"  # those of test accuracy are missing
    for study in (a, b):
        for trial in study["trials"]:
            accuracy = trial["values"]["test_accuracy"]
            trial["interval"]["test_accuracy"] = [accuracy - 0.02, accuracy + 0.02]
    whole = compare([a, b])
    assert whole["outcome"].startswith(said)
    assert whole["studies"][0]["estimate"]["basis"] == "intervals with seeds"
    assert not any("under another seed" in note for note in whole["notes"])
    json.dumps(found, allow_nan=False)


def test_attainment_at_round_levels():
    a, b = sure("a", [(0.9, 0.5), (0.6, 0.1)], 0.02), record("b", [(0.7, 0.3)])
    rows = compare([a, b])["attainment"]
    assert [row["test_accuracy"] for row in rows] == pytest.approx([0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9])
    at = {round(row["test_accuracy"], 2): row["attack_accuracy"] for row in rows}
    assert (at[0.6]["a"]["value"], at[0.6]["a"]["trial"]) == (0.1, 1)
    assert (at[0.65]["a"]["value"], at[0.65]["a"]["trial"]) == (0.5, 0)
    assert at[0.6]["a"]["interval"] == pytest.approx([0.08, 0.12])  # its trial's own
    low, high = at[0.6]["a"]["estimate"]["interval"]
    assert (low, high) == (pytest.approx(0.08, abs=0.004), pytest.approx(0.12, abs=0.004))
    assert at[0.7]["b"] == {"value": 0.3, "interval": None, "trial": 0, "estimate": None}
    assert at[0.75]["b"] is None


def test_work_is_compared_at_what_all_have_spent():
    a, b = record("a", [(0.5, 0.5), (0.9, 0.5)]), record("b", [(0.6, 0.5)])
    for one, seconds in ((a, 50.0), (b, 60.0)):
        for trial in one["trials"]:
            trial |= {"seconds": {"target": seconds}, "finished": f"2026-01-01T00:0{trial['number']}:00"}
    first, second = compare([a, b])["studies"]
    assert (first["seconds"], second["seconds"]) == (100.0, 60.0)
    assert first["per_hour"] == pytest.approx(0.45 * 36)
    assert (first["at_equal_work"], second["at_equal_work"]) == (pytest.approx(0.25), pytest.approx(0.3))


def test_published_points_stand_beside_and_stay_out_of_everything():
    a = record("a", [(0.9, 0.5), (0.6, 0.1)])
    published = points("attack=GMI,architecture=VGG16,public=CelebA,private=CelebA,protocol=mean of seeds")
    found = compare([a], published=published)
    (shown,) = found["published"]
    assert shown["hypervolume"] > 0.5 and len(shown["points"]) == 4
    assert shown["departures"]["a"][0] == "judge: the paper's own"
    assert shown["doubts"]
    del found["published"]
    alone = compare([a])
    assert alone.pop("published") == [] and found == alone
    three = record("b", [(0.5, 0.5, 1.0)], {**OBJECTIVES, "knn_distance": "maximize"})
    with pytest.raises(ConfigError, match="compare them without --published"):
        compare([three], published=published)


def test_one_and_three_objectives_compare_too():
    single = {"attack_accuracy": "minimize"}
    found = compare([record("a", [(0.5,), (0.2,)], single), record("b", [(0.3,)], single)])
    assert [study["hypervolume"] for study in found["studies"]] == pytest.approx([0.8, 0.7])
    assert found["attainment"] == [] and "crossings" not in found["pairs"][0]
    three = {**OBJECTIVES, "knn_distance": "maximize"}
    found = compare([record("a", [(0.5, 0.5, 10.0), (0.9, 0.9, 5.0)], three)])
    assert found["studies"][0]["hypervolume"] == pytest.approx(0.5 * 0.5 * 10 + 0.4 * 0.1 * 5)
    assert found["attainment"][0]["attack_accuracy"]["a"]["value"] == 0.5


def test_a_front_chosen_by_test_images_is_named_beside_one_that_was_not():
    way = {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
    point = {"values": {"test_accuracy": 0.8, "attack_accuracy": 0.2}, "feasible": True}
    newer = as_study(
        {
            "study": "newer",
            "searched": way,
            "trials": [point | {"searched": {"validation_accuracy": 0.7, "attack_accuracy": 0.2}}],
        }
    )
    older = as_study({"study": "older", "trials": [point]})
    (note,) = [text for text in module.compare([newer, older]).notes if "chosen by test" in text]
    assert note.endswith("the front of 'older'")
    assert not [text for text in module.compare([older]).notes if "chosen by test" in text]
