"""LoFt replaces the last layer and nothing else."""

import pytest
import torch
from torch.nn import functional

from trainables.defenses.loft import LoFt
from trainables.defenses.low_rank_head import LowRankHead
from trainables.errors import ConfigError
from trainables.training.classifier import build_classifier


def test_the_head_has_the_published_shape():
    plain = build_classifier("small_cnn", 9, 32, "none", 0)
    stages = {name: value.clone() for name, value in plain.stages.state_dict().items()}
    neck = plain.neck
    classifier = LoFt().prepare(plain)
    head = classifier.head
    assert isinstance(head, LowRankHead)
    assert (head.norm.num_features, head.reduce.in_features, head.reduce.out_features) == (128, 128, 50)
    assert (head.classify.in_features, head.classify.out_features) == (50, 9)
    assert isinstance(head.activation, torch.nn.Tanh)
    assert classifier.neck is neck
    assert all(torch.equal(value, stages[name]) for name, value in classifier.stages.state_dict().items())


def test_the_loss_is_the_cross_entropy():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    expected = functional.cross_entropy(logits, labels)
    assert torch.equal(LoFt().loss(logits, labels, torch.zeros(5, 3, 1, 1), {}), expected)


def test_prepare_wants_a_fresh_classifier():
    once = LoFt(rank=4).prepare(build_classifier("small_cnn", 4, 32, "none", 0))
    with pytest.raises(ConfigError, match="'loft' expects a linear head"):
        LoFt(rank=4).prepare(once)


@pytest.mark.parametrize("knobs", [{"rank": 0}])
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match="rank"):
        LoFt(**knobs)
