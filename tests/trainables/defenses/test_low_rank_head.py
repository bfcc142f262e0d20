"""The low-rank head is what its formula says."""

import pytest
import torch

from trainables.defenses.low_rank_head import ACTIVATIONS, LowRankHead

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
