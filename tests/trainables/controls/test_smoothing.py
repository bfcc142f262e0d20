"""Positive label smoothing, a control that leaks more: what a target is taught to answer."""

import pytest
import torch
from torch.nn import functional

from trainables.controls.smoothing import PositiveSmoothing
from trainables.defenses import DEFENSES


def test_smoothed_labels_against_the_sum_by_hand():
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 4).double(), torch.tensor([0, 1, 2, 3, 1])
    soft = functional.one_hot(labels, 4) * 0.7 + 0.3 / 4
    expected = -(soft * logits.log_softmax(1)).sum(1).mean()
    loss = PositiveSmoothing(alpha=0.3).loss(logits, labels, torch.empty(0), {})
    assert loss.item() == pytest.approx(expected.item())


def test_nothing_pulls_at_a_target_that_spreads_the_share_over_all_identities():
    answers = torch.tensor([[0.05, 0.85, 0.05, 0.05], [0.05, 0.05, 0.05, 0.85]], dtype=torch.float64)
    logits = answers.log().requires_grad_()
    PositiveSmoothing(alpha=0.2).loss(logits, torch.tensor([1, 3]), torch.empty(0), {}).backward()
    assert logits.grad.abs().max() < 1e-12


def test_a_target_that_is_surer_than_that_is_pulled_back_by_its_share_of_the_images():
    """The gradient is the answer beyond what is taught, over the number of images."""
    logits = torch.tensor([[60.0, 0.0, 0.0], [0.0, 60.0, 0.0]], dtype=torch.float64, requires_grad=True)
    PositiveSmoothing(alpha=0.6).loss(logits, torch.tensor([0, 1]), torch.empty(0), {}).backward()
    expected = torch.tensor([[0.2, -0.1, -0.1], [-0.1, 0.2, -0.1]], dtype=torch.float64)
    torch.testing.assert_close(logits.grad, expected)


def test_no_study_can_take_it_for_a_defense():
    assert PositiveSmoothing.kind not in DEFENSES
    assert not any(issubclass(defense, PositiveSmoothing) for defense in DEFENSES.values())
