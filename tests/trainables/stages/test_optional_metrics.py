"""Metrics that a trial asks for: stages of their own, which move no key of finished work."""

import pytest

from trainables.config import absolute_paths, document, load_trial
from trainables.errors import ConfigError
from trainables.storage.store import Store
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 1, "batch_size": 16},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 5},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
}


def stages(store):
    return {path.relative_to(store.root) for path in store.root.glob("*/*/result.json")}


def test_asked_for_later_they_are_measured_on_stored_reconstructions(tmp_path):
    store = Store(tmp_path)
    before = run_trial(load_trial(DOCUMENT), store=store).to_json()
    made = stages(store)
    asked = [{"kind": "prdc", "neighbours": 2}, "centroid_distance", {"kind": "fid", "least": 5}, "lpips"]
    config = load_trial({**DOCUMENT, "metrics": asked})
    after = run_trial(config, store=store).to_json()
    new = stages(store) - made
    assert {path.parts[0] for path in new} == {"metric"} and made <= stages(store)
    figures = after["metrics"]
    assert before["metrics"].items() <= figures.items()
    assert figures.keys() - before["metrics"].keys() == {
        "prdc_precision",
        "prdc_recall",
        "prdc_density",
        "prdc_coverage",
        "centroid_distance",
        "fid_images",
    }
    assert figures["fid_images"] == 20 and figures["centroid_distance"] > 0
    skipped = [text for text in after["warnings"] if text.startswith("not measured: ")]
    assert [text.split()[2] for text in skipped] == ["fid", "lpips"]
    again = run_trial(config, store=store).to_json()
    assert again["metrics"] == figures and stages(store) == made | new


def test_a_document_survives_the_round_trip_and_says_nothing_where_nothing_is_asked():
    assert "metrics" not in document(load_trial(DOCUMENT))
    asked = ["prdc", {"kind": "fid", "images": "successful"}, {"kind": "face_distance", "path": "weights.pt"}]
    config = load_trial({**DOCUMENT, "metrics": asked})
    assert [metric.kind for metric in config.metrics] == [
        "prdc_precision",
        "prdc_recall",
        "prdc_density",
        "prdc_coverage",
        "fid",
        "fid_images",
        "face_distance",
    ]
    assert load_trial(document(config)) == config


def test_paths_of_metrics_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ["prdc", {"kind": "fid", "path": "a.pth"}, {"kind": "face_distance", "path": "weights.pt"}]
    metrics = absolute_paths({**DOCUMENT, "metrics": asked})["metrics"]
    assert metrics[0] == "prdc"
    assert metrics[1]["path"] == str(tmp_path / "a.pth")
    assert metrics[2]["path"] == str(tmp_path / "weights.pt")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["fdi"], r"kind must be one of centroid_distance, .*got 'fdi'.*metrics\[0\]\.kind"),
        (["knn_distance"], "kind must be one of centroid_distance"),
        ("fid", "expected a list of metrics, got 'fid'"),
        (["prdc", 3], r"expected a metric's name or a mapping, got 3 .*metrics\[1\]"),
        ([{"kind": "prdc", "neighbours": 0}], r"neighbours must be at least 1.*metrics\[0\]"),
        (["face_distance"], r"'metrics\[0\]\.path' is missing"),
    ],
)
def test_mistakes_have_their_place(asked, message):
    with pytest.raises(ConfigError, match=message):
        load_trial({**DOCUMENT, "metrics": asked})
