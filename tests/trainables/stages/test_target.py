"""What the stage of a target keeps of its training and of its test images."""

import pytest

from trainables.config import load_trial
from trainables.datasets.base import as_float
from trainables.stages.data import load_data
from trainables.stages.target import load_target, make_target
from trainables.storage.store import Store
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 2, "batch_size": 16},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 1},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store, config = Store(tmp_path_factory.mktemp("store")), load_trial(DOCUMENT)
    return store, config, make_target(config, store=store)


def test_each_test_image_is_kept_in_order(made):
    _, config, stage = made
    data = load_data(config)
    test = data.split.test
    named = load_target(config, data, stage)(as_float(test.pixels)).argmax(1)
    right = (named == test.labels).tolist()
    assert stage.result["test_correct"] == "".join(str(int(hit)) for hit in right)
    assert stage.result["test_accuracy"] == sum(right) / len(right)
    shares = [
        sum(hit for hit, label in zip(right, test.labels.tolist(), strict=True) if label == person)
        / int((test.labels == person).sum())
        for person in range(4)
    ]
    assert stage.result["test_accuracy_per_identity"] == pytest.approx(sum(shares) / 4)


def test_the_share_of_images_seen_is_kept(made):
    images = len(load_data(made[1]).split.train)
    assert made[2].result["images_seen"] == pytest.approx(images // 16 * 16 / images) != 1


def test_the_trial_has_the_mean_over_identities_and_not_the_string(made):
    store, config, stage = made
    document = run_trial(config, store=store).to_json()
    expected = stage.result["test_accuracy_per_identity"]
    assert document["metrics"]["test_accuracy_per_identity"] == expected
    assert "test_correct" not in str(document)


def test_a_target_of_an_older_store_has_no_such_metric(made, monkeypatch):
    store, config, stage = made
    for name in ("test_accuracy_per_identity", "test_correct", "images_seen"):
        monkeypatch.delitem(stage.result, name)
    found = run_trial(config, store=store, trained=stage)
    assert "test_accuracy_per_identity" not in found.metrics
    assert found.values["test_accuracy"] == stage.result["test_accuracy"]
