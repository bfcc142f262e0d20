"""One tiny trial through every stage, and what the store reuses."""

import dataclasses

import pytest
import torch

from trainables.config import load_trial
from trainables.document import merge
from trainables.errors import ConfigError
from trainables.judges.base import JudgeModel
from trainables.metrics.knn_distance import knn_distance
from trainables.store import Store
from trainables.target import build_classifier
from trainables.trial import judge_warnings, load_data, make_shared, run_trial, score

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "dataset", "data": {**FACES, "population": "far"}, "epochs": 1},
    "target": {"architecture": "small_cnn", "epochs": 2, "freeze_point": "conv2"},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 2},
    "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
    "identities": 3,
}


class Stages:
    """A report that remembers the stages that did work."""

    def __init__(self):
        self.seen = []

    def __call__(self, stage, done, total, **metrics):
        if stage not in self.seen:
            self.seen.append(stage)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    stages = Stages()
    return store, run_trial(load_trial(DOCUMENT), store=store, report=stages), stages.seen


def test_every_stage_runs_and_every_figure_is_there(finished):
    _store, result, seen = finished
    assert seen == ["pretrained", "target", "prior", "attack", "judge"]
    low, high = result["interval"]["attack_accuracy"]
    assert 0 <= low <= result["values"]["attack_accuracy"] <= high <= 1
    assert 0 <= result["values"]["test_accuracy"] <= 1
    assert 0 < result["trained_params"] < result["total_params"]
    assert result["metrics"]["chance"] == 0.25
    assert set(result["seconds"]) == {"target", "attack", "judge"}
    found = torch.load(f"{result['artifacts']['attack']}/reconstructions.pt", weights_only=True)
    assert found["images"].shape == (2, 3, 3, 32, 32) and found["images"].dtype == torch.uint8
    assert found["identities"].tolist() == [0, 1, 2]
    examples = torch.load(f"{result['artifacts']['judge']}/examples.pt", weights_only=True)["images"]
    assert examples.shape == (4, 3, 32, 32)
    assert any("weak judge" in warning for warning in result["warnings"])


def test_a_second_run_makes_nothing_and_says_the_same(finished):
    store, result, _ = finished
    stages = Stages()
    assert run_trial(load_trial(DOCUMENT), store=store, report=stages) == result
    assert stages.seen == []


def test_another_defense_reuses_the_shared_stages(finished):
    store, result, _ = finished
    stages = Stages()
    other = run_trial(
        load_trial(merge(DOCUMENT, {"defense.kind": "mid", "defense.bottleneck": 8})),
        store=store,
        report=stages,
    )
    assert stages.seen == ["target", "attack", "judge"]
    assert other["artifacts"]["judge"] == result["artifacts"]["judge"]
    assert other["artifacts"]["target"] != result["artifacts"]["target"]


def test_a_replicate_has_fresh_randomness_on_the_same_shared_stages(finished):
    store, result, _ = finished
    stages = Stages()
    other = run_trial(load_trial({**DOCUMENT, "replicate": 1}), store=store, report=stages)
    assert stages.seen == ["target", "attack", "judge"]
    assert other["history"]["target"] != result["history"]["target"]


def test_the_same_seed_gives_the_same_result_in_another_store(finished, tmp_path):
    _, result, _ = finished
    again = run_trial(load_trial(DOCUMENT), store=Store(tmp_path))
    assert again["values"] == result["values"]
    assert again["history"] == result["history"]
    assert again["metrics"] == result["metrics"]


def test_shared_stages_can_be_made_ahead(tmp_path):
    store, config = Store(tmp_path), load_trial(DOCUMENT)
    first = make_shared(config, "judge", store=store)
    assert first.made_now and not make_shared(config, "judge", store=store).made_now
    assert 0 <= first.result["test_accuracy"] <= 1


def test_private_and_public_may_not_overlap():
    config = load_trial({**DOCUMENT, "public": FACES})
    with pytest.raises(ConfigError, match="private"):
        load_data(config)


def test_a_weak_judge_is_a_warning():
    assert judge_warnings(0.95, 0.9) == []
    assert "0.850, below 0.9" in judge_warnings(0.85, 0.5)[0]
    assert "0.920 is below the target's 0.960" in judge_warnings(0.92, 0.96)[0]


def test_score_counts_what_the_judge_says():
    """The judge reads the label from the red channel, so the truth is known for every picture."""
    config = load_trial(DOCUMENT)
    private = load_data(config).split.train

    def logits(images):
        shown = (images[:, 0, 0, 0] * 255).round().long()
        return torch.nn.functional.one_hot(shown, 4).float()

    def features(images):
        return images.mean(dim=(2, 3)).double()

    judge = JudgeModel(logits=logits, features=features, test_accuracy=1.0)
    private_features = features(private.pixels.float() / 255)
    identities = torch.tensor([0, 2])
    images = torch.zeros(2, 2, 3, 32, 32, dtype=torch.uint8)
    images[0, 0, 0], images[0, 1, 0] = 0, 2  # both right
    images[1, 0, 0], images[1, 1, 0] = 3, 2  # first wrong
    target = build_classifier("small_cnn", 4, 32, "none", 0)
    found = score(judge, target, images, identities, private_features, private.labels, "cpu")
    assert found["metrics"]["attack_accuracy_top1"] == 0.75
    assert found["per_identity"] == [0.5, 1.0]
    expected = knn_distance(
        features(images.flatten(0, 1).float() / 255), identities.repeat(2), private_features, private.labels
    )
    assert found["metrics"]["knn_distance"] == pytest.approx(expected)


def test_the_result_is_plain_data(finished):
    import json

    _, result, _ = finished
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert dataclasses.is_dataclass(load_trial(DOCUMENT))
