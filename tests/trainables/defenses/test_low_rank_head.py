"""The low-rank head is what its formula says."""

import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.defenses.low_rank_head import ACTIVATIONS, LowRankHead, straight_through

FUNCTIONS = {
    "tanh": torch.tanh,
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "relu": lambda x: x.clamp_min(0),
    "relu6": lambda x: x.clamp(0, 6),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "none": lambda x: x,
}


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_logits_follow_the_formula(activation):
    torch.manual_seed(0)
    head = LowRankHead(7, 5, 3, activation).double()
    feature = 4 * torch.randn(6, 7, dtype=torch.float64)
    logits = head(feature)
    normal = (feature - feature.mean(0)) / (feature.var(0, correction=0) + 1e-5).sqrt()
    few = FUNCTIONS[activation](normal @ head.reduce.weight.T + head.reduce.bias)
    assert torch.allclose(logits, few @ head.classify.weight.T + head.classify.bias, atol=1e-12)
    assert few.shape == (6, 3)
    if activation == "none":  # differences of logits span three dimensions at most
        assert torch.linalg.matrix_rank(logits - logits.mean(0)) <= 3


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_gradients_that_go_straight_through_are_those_of_a_linear_head(activation):
    torch.manual_seed(0)
    head = LowRankHead(7, 5, 3, activation).double().eval()
    classifier = Classifier({"all": nn.Identity()}, nn.Identity(), head)
    copied = straight_through(classifier).head
    feature = 4 * torch.randn(6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.equal(copied(feature), head(feature)) and not head.straight
    weights = torch.linspace(-1, 2, 30, dtype=torch.float64).reshape(6, 5)
    (slope,) = torch.autograd.grad((copied(feature) * weights).sum(), feature)
    linear = head.classify.weight @ head.reduce.weight / (1 + head.norm.eps) ** 0.5
    assert torch.allclose(slope, weights @ linear, atol=1e-12)
    (bent,) = torch.autograd.grad((head(feature) * weights).sum(), feature)
    assert torch.allclose(bent, slope) == (activation == "none")
