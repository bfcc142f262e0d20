"""No defense is cross-entropy."""

import torch

from trainables.architectures.small_cnn import build
from trainables.defenses.none import NoDefense


def test_loss_is_the_mean_negative_log_probability():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    expected = -logits.softmax(1)[torch.arange(5), labels].log().mean()
    assert torch.allclose(NoDefense().loss(logits, labels, torch.zeros(5, 3, 1, 1), {}), expected)


def test_prepare_changes_nothing():
    classifier = build(3, 32)
    before = classifier.head
    assert NoDefense().prepare(classifier) is classifier
    assert classifier.head is before
