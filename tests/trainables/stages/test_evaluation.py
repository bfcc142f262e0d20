import pytest
import torch

from trainables.datasets.split import split
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.judges.base import JudgeModel
from trainables.metrics import METRICS
from trainables.metrics.chance import Chance
from trainables.metrics.knn_distance import knn_distance
from trainables.stages.evaluation import FIRST_METRICS, judge_warnings, metric_parts, score, useless_judge
from trainables.training.classifier import build_classifier

FACES = SyntheticFaces(population="private", identities=4, images_per_identity=8)


def test_a_weak_judge_is_a_warning():
    assert judge_warnings(0.95, 0.9, identities=10) == []
    assert "0.850, below 0.9" in judge_warnings(0.85, 0.5, identities=10)[0]
    assert "0.920 is below the target's 0.960" in judge_warnings(0.92, 0.96, identities=10)[0]
    assert judge_warnings(0.92, identities=10) == []  # the target is not known yet
    (weak,) = judge_warnings(0.83, identities=10)
    (useless,) = judge_warnings(0.10, identities=10)
    assert weak.startswith("weak judge: ") and useless.startswith("useless judge: ")


@pytest.mark.parametrize("identities", [2, 3, 5, 10, 100, 1000])
def test_a_judge_below_three_times_chance_says_nothing_and_the_limit_is_in_reach(identities):
    chance = 1 / identities
    limit = 3 * chance if identities >= 5 else (1 + chance) / 2
    assert limit < 1
    reason = useless_judge(limit - 0.001, identities=identities)
    assert f"below {limit:.3f}" in reason
    assert useless_judge(limit + 0.001, identities=identities) == ""


def test_a_judge_below_half_the_targets_accuracy_says_nothing_once_that_is_known():
    assert useless_judge(0.45, identities=10) == ""
    assert useless_judge(0.45, identities=10, target=0.89) == ""
    assert "below half the target's 0.920" in useless_judge(0.45, identities=10, target=0.92)


def test_score_counts_what_the_judge_says():
    """The judge reads the label from the red channel, so the truth is known for every picture."""
    private = split(FACES.load(32), validation=0.1, test=0.2, seed=0).train

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
    assert list(found["metrics"]) == list(FIRST_METRICS)


def test_the_first_metrics_enter_no_key():
    assert metric_parts() == {}


def test_a_metric_beside_the_verdict_enters_no_key_at_any_version(monkeypatch):
    beside = [metric for metric in METRICS.values() if metric.beside_verdict]
    assert beside
    for metric in beside:
        monkeypatch.setattr(metric, "version", 2)
    assert metric_parts() == {}


def test_a_newer_metric_or_version_changes_the_key(monkeypatch):
    monkeypatch.setitem(METRICS, "later", Chance)
    assert metric_parts() == {"metrics": {"later": 1}}
    monkeypatch.delitem(METRICS, "later")
    monkeypatch.setattr(Chance, "version", 2)
    assert metric_parts() == {"metrics": {"chance": 2}}
