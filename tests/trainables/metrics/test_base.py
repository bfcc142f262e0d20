import dataclasses

import pytest
import torch

from trainables.method import FILE, knobs_marked
from trainables.metrics import METRICS, attack_accuracy
from trainables.metrics.base import Evidence, Skipped, private_of


def evidence() -> Evidence:
    noise = torch.Generator().manual_seed(0)
    return Evidence(
        reconstructions=torch.zeros(2, 3, 3, 4, 4, dtype=torch.uint8),
        identities=torch.arange(3),
        logits=torch.randn(2, 3, 6, generator=noise),
        features=torch.randn(2, 3, 4, generator=noise),
        confidences=torch.randn(2, 3, 6, generator=noise).softmax(2),
        private_features=torch.randn(6, 4, generator=noise),
        private_labels=torch.arange(3).repeat(2),
    )


def test_what_is_shared_is_computed_once_for_each_evidence():
    calls = []
    first, second = evidence(), evidence()
    for one in (first, first, second):
        assert one.shared("figure", lambda: calls.append(1) or len(calls)) == (2 if one is second else 1)
    assert first.shared("other", lambda: None) is first.shared("other", lambda: 1) is None


def test_the_metrics_of_attack_accuracy_compute_it_once(monkeypatch):
    calls, compute = [], attack_accuracy.attack_accuracy

    def counted(*arguments):
        calls.append(arguments)
        return compute(*arguments)

    monkeypatch.setattr(attack_accuracy, "attack_accuracy", counted)
    measured = evidence()
    figures = {name: metric().measure(measured) for name, metric in METRICS.items() if not metric.optional}
    assert len(calls) == 1
    expected = compute(measured.logits, measured.identities)
    assert figures["attack_accuracy_top1"] == expected.top1
    assert figures["attack_accuracy_top5"] == expected.top5
    assert figures["attack_accuracy_std"] == expected.std


@pytest.mark.parametrize("kind", ["fid", "lpips", "face_distance"])
def test_a_file_that_a_metric_needs_and_is_not_here_is_told(tmp_path, kind):
    here = tmp_path / "weights.pth"
    here.touch()
    files = knobs_marked(METRICS[kind], FILE)
    whole = METRICS[kind](**dict.fromkeys(files, str(here)))
    assert files and whole.missing() is None
    for name in files:
        lacking = dataclasses.replace(whole, **{name: "nowhere.pth"})
        assert (
            lacking.missing() == f"{kind} needs a file of weights, got none at 'nowhere.pth' (metrics.{name})"
        )
    assert METRICS["knn_distance"]().missing() is None


def test_private_images_of_everybody_are_no_copy():
    """They may lie in a mapped file that is larger than memory."""
    whole = dataclasses.replace(evidence(), private_images=torch.zeros(6, 3, 4, 4, dtype=torch.uint8))
    images, labels = private_of(whole)
    assert images is whole.private_images and labels is whole.private_labels
    images, labels = private_of(dataclasses.replace(whole, identities=torch.tensor([2, 0])))
    assert labels.tolist() == [0, 2, 0, 2] and len(images) == 4


def test_private_images_that_are_not_at_hand_are_a_reason():
    with pytest.raises(Skipped, match="the private training images are not at hand"):
        private_of(evidence())
