import dataclasses

import pytest
import torch

from trainables.judges.verification import references, scores
from trainables.metrics.base import Evidence
from trainables.metrics.verified_accuracy import AttackAccuracyVerified, verified


def test_a_first_choice_counts_only_above_the_threshold():
    choices = torch.tensor([[0, 1, 0], [0, 2, 2]])
    own_scores = torch.tensor([[0.9, 0.9, 0.9], [0.5, 0.9, 0.7]])
    # person 0: named twice, once at the threshold; person 1: once; person 2: once
    assert verified(choices, own_scores, torch.arange(3), 0.5).tolist() == [0.5, 0.5, 0.5]
    assert verified(choices, own_scores, torch.arange(3), 0.8).tolist() == [0.5, 0.5, 0.0]


def evidence(limit: float | None) -> Evidence:
    noise = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 5, generator=noise)
    return Evidence(
        reconstructions=torch.zeros(3, 4, 3, 2, 2, dtype=torch.uint8),
        identities=torch.tensor([4, 0, 2, 1]),
        logits=logits,
        features=torch.randn(3, 4, 6, generator=noise),
        confidences=logits.softmax(2),
        private_features=torch.randn(10, 6, generator=noise),
        private_labels=torch.arange(5).repeat(2),
        threshold=limit,
    )


def test_the_figure_is_the_share_over_all_reconstructions():
    seen = evidence(0.05)
    people = references(seen.private_features, seen.private_labels, 5)
    hits = 0
    for restart in range(3):
        for position, person in enumerate(seen.identities.tolist()):
            first = seen.logits[restart, position].argmax().item() == person
            score = scores(seen.features[restart, position], people)[person].item()
            hits += first and score > 0.05
    assert 0 < hits < 12
    assert AttackAccuracyVerified().measure(seen) == hits / 12


def test_under_a_threshold_that_all_reach_it_is_the_share_of_first_choices():
    seen = evidence(-1.5)
    logits = torch.zeros_like(seen.logits)
    for restart, first in enumerate(([4, 0, 2, 1], [4, 1, 0, 2], [0, 0, 1, 4])):  # right 4, 1 and 1 times
        logits[restart, torch.arange(4), torch.tensor(first)] = 1.0 + restart
        logits[restart, :, 3] = -1.0  # the last choice is nobody's
    assert AttackAccuracyVerified().measure(dataclasses.replace(seen, logits=logits)) == pytest.approx(6 / 12)


def test_without_a_threshold_there_is_no_figure():
    assert AttackAccuracyVerified().measure(evidence(None)) is None
