"""A target whose confidence is read off a picture's corner, and judges whose choices are given."""

import pytest
import torch
from torch import nn

from trainables.analyses.base import Opinion, Subject
from trainables.analyses.false_positives import FalsePositives
from trainables.errors import ConfigError
from trainables.metrics.attack_accuracy import interval95

SURENESS = torch.tensor([[9, 9], [9, 0]])  # logits of the attacked person, of two restarts of two people
IDENTITIES = torch.tensor([2, 0])
FIRST = torch.tensor([[2, 1], [1, 0]])  # names the attacked person in the first of one, the second of other
SECOND = torch.tensor([[2, 0], [2, 0]])  # names everyone rightly


class Seer(nn.Module):
    head = nn.Identity()

    def forward(self, images):
        shown = (images * 255).round().long().flatten(1)
        return nn.functional.one_hot(shown[:, 0], 3) * shown[:, 1:2].float()


@pytest.fixture
def subject():
    pixels = torch.zeros(2, 2, 3, 1, 1, dtype=torch.uint8)
    pixels[:, :, 0, 0, 0] = IDENTITIES
    pixels[:, :, 1, 0, 0] = SURENESS.to(torch.uint8)
    return Subject(
        target=Seer(),
        judge=None,
        private=None,
        reconstructions=pixels,
        identities=IDENTITIES,
        opinions=(
            Opinion(judge="classifier", choices=FIRST, test_accuracy=1.0),
            Opinion(judge="embedder", choices=SECOND, test_accuracy=1.0),
        ),
    )


def test_a_sure_reconstruction_that_a_judge_denies_is_a_false_positive(subject):
    figures = FalsePositives().measure(subject)
    high = torch.tensor([9.0, 0, 0]).softmax(0)[0].item()
    assert figures["confidence"] == pytest.approx((3 * high + 1 / 3) / 4)
    assert figures["confidence_deciles"][0] == pytest.approx(1 / 3)
    assert figures["confidence_deciles"][-1] == pytest.approx(high)
    assert figures["sure"] == 0.75
    assert figures["sure_interval"] == pytest.approx(interval95(torch.tensor([1.0, 0.5]), 2))
    assert figures["judge"] == ["classifier", "embedder"]
    assert figures["recognised"] == [0.5, 1.0]
    assert figures["false_positives"] == [0.5, 0.0]  # one of each person: 2 of 4
    assert figures["false_positive_rate"] == [pytest.approx(2 / 3), 0.0]
    assert figures["labels"] == [0, 2]  # in label order, whatever the attack's
    assert figures["sure_per_identity"] == [0.5, 1.0]
    assert figures["confidence_per_identity"] == pytest.approx([(high + 1 / 3) / 2, high])
    assert figures["recognised_per_identity.classifier"] == [0.5, 0.5]
    assert figures["false_positives_per_identity.classifier"] == [0.5, 0.5]
    assert figures["false_positives_per_identity.embedder"] == [0.0, 0.0]


def test_the_threshold_says_when_the_target_is_sure(subject):
    assert FalsePositives(threshold=0.3).measure(subject)["sure"] == 1.0
    nobody = FalsePositives(threshold=0.9999).measure(subject)
    assert nobody["sure"] == 0.0 and nobody["false_positive_rate"] == [None, None]
    with pytest.raises(ValueError, match="threshold must lie between 0 and 1"):
        FalsePositives(threshold=1.5)


def test_no_judge_is_a_mistake(subject):
    import dataclasses

    with pytest.raises(ConfigError, match="expects a judge, got none"):
        FalsePositives().measure(dataclasses.replace(subject, opinions=()))
