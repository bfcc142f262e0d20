"""What the stage of a target keeps of its training and of its test images."""

import pytest
import torch

from trainables.config import load_trial
from trainables.datasets.base import as_float
from trainables.stages.data import load_data
from trainables.stages.judge import make_judge
from trainables.stages.pretrained import make_pretrained
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


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("stage", ["target", "judge", "pretrained"])
def test_a_killed_training_goes_on_at_its_epoch(stage, tmp_path):
    backbone = {"kind": "dataset", "data": {**FACES, "population": "far"}, "epochs": 3, "batch_size": 8}
    config = load_trial(
        {
            **DOCUMENT,
            "pretraining": backbone if stage == "pretrained" else {"kind": "none"},
            "target": {**DOCUMENT["target"], "epochs": 3},
            "judge": {**DOCUMENT["judge"], "epochs": 3},
        }
    )
    make = {"target": make_target, "judge": make_judge, "pretrained": make_pretrained}[stage]
    told: list[tuple[int, ...]] = []

    def report(name, *done, **_):
        if name == stage:
            told.append(done)
            if killing and done == (3, 3):
                raise Killed

    killing = True
    store, other = Store(tmp_path / "store"), Store(tmp_path / "other")
    with pytest.raises(Killed):
        make(config, store=store, report=report)
    assert len(list((tmp_path / "store" / stage).glob("*.unfinished"))) == 1
    killing, told = False, []
    again = make(config, store=store, report=report)
    assert told == [(3, 3)]
    assert not list((tmp_path / "store" / stage).glob("*.unfinished"))
    whole = make(config, store=other)
    assert again.key == whole.key and again.result == whole.result
    for file in whole.path.glob("*.pt"):
        first, second = (torch.load(made.path / file.name, weights_only=True) for made in (whole, again))
        assert str(first) == str(second), file.name
        weights = first.get("state", first)
        for name, value in weights.items():
            assert torch.equal(value, second.get("state", second)[name]), name
