"""The loss with smoothed labels against the authors', and where its arithmetic could go wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from trainables.defenses.smoothed_labels import smoothed

GOLDEN = Path(__file__).parents[2] / "golden" / "10a_negls_a.npz"


@pytest.mark.parametrize("alpha", ["0", "0.1", "-0.05", "-0.5", "-2"])
def test_authors_loss_and_gradient(alpha):
    with np.load(GOLDEN) as golden:
        logits = torch.from_numpy(golden["logits"]).requires_grad_()
        loss = smoothed(logits, torch.from_numpy(golden["y"]), float(alpha))
        loss.backward()
        assert loss.item() == pytest.approx(golden[f"loss_alpha{alpha}"].item(), abs=1e-6)
        assert np.allclose(logits.grad.numpy(), golden[f"grad_alpha{alpha}"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("alpha", [-1.5, -0.05, 0.0, 0.3])
def test_it_is_a_cross_entropy_with_smoothed_labels(alpha):
    logits, labels = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2])
    wanted = (1 - alpha) * functional.one_hot(labels, 4).double() + alpha / 4
    expected = -(wanted * logits.log_softmax(1)).sum(1).mean()
    assert smoothed(logits, labels, alpha).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_halved_logits_are_summed_in_full_precision_and_keep_a_gradient(kind):
    logits = (8 * torch.randn(6, 10)).to(kind).requires_grad_()
    labels = torch.arange(6)
    exact = logits.detach().double().requires_grad_()
    truth, loss = smoothed(exact, labels, -0.05), smoothed(logits, labels, -0.05)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(truth.item(), rel=1e-6)
    truth.backward()
    loss.backward()
    assert torch.equal(logits.grad, exact.grad.to(kind))


@pytest.mark.parametrize("alpha", [-0.05, 0.1])
def test_certain_logits_have_the_loss_of_their_margin(alpha):
    """Of K classes one is ahead by t: log p of each other one is -t, where a softmax is 0 already."""
    margin, classes = 2000.0, 5
    logits = torch.zeros(2, classes)
    logits[0, 3] = logits[1, 1] = margin
    right, other = (
        smoothed(logits[:1], torch.tensor([3]), alpha),
        smoothed(logits[1:], torch.tensor([3]), alpha),
    )
    share = alpha * (classes - 1) / classes * margin
    assert right.item() == pytest.approx(share)
    assert other.item() == pytest.approx((1 - alpha) * margin + share)
    both = smoothed(logits, torch.tensor([3, 3]), alpha).item()
    assert both == pytest.approx((right.item() + other.item()) / 2)
