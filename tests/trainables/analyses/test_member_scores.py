"""Halves, calibration and AUC, by brute force."""

import itertools
import math

import numpy as np
import pytest
import torch

from trainables.analyses import member_scores
from trainables.analyses.member_scores import (
    auc,
    auc_interval,
    bound_of_complete,
    calibrate,
    halves,
    only,
)
from trainables.datasets.base import Images
from trainables.errors import ConfigError


def test_auc_counts_pairs():
    noise = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 5, (4, 7), generator=noise).double()
    member = torch.rand(4, 7, generator=noise) < 0.5
    pairs = list(itertools.product(scores[member].tolist(), scores[~member].tolist()))
    truth = sum((ours > theirs) + (ours == theirs) / 2 for ours, theirs in pairs) / len(pairs)
    assert auc(scores, member) == pytest.approx(truth)


def test_a_score_is_calibrated_by_targets_of_other_pairs_without_the_person():
    scores = torch.tensor([[1.0, 8.0], [2.0, 4.0], [5.0, 6.0], [9.0, 1.0]], dtype=torch.float64)
    member = torch.tensor([[True, False], [False, True], [True, False], [False, True]])
    calibrated = calibrate(scores, member)
    assert calibrated[:, 0].tolist() == [1 - 9, 2 - 9, 5 - 2, 9 - 2]
    assert calibrated[:, 1].tolist() == [8 - 6, 4 - 6, 6 - 8, 1 - 8]


@pytest.mark.parametrize("targets", [4, 8])
def test_where_nothing_leaks_members_spread_as_others_do(targets):
    """So the level that a tenth of non-members exceed is one that a tenth of members exceed."""
    member = halves("any", targets, 4000, seed=3)
    scores = torch.randn(targets, 4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    calibrated = calibrate(scores, member)
    level = calibrated[~member].quantile(0.9)
    assert (calibrated[member] > level).double().mean().item() == pytest.approx(0.1, abs=0.01)


def test_every_person_is_in_half_of_all_and_pairs_are_complements():
    member = halves("any", 6, 7, seed=3)
    assert member.shape == (6, 7) and (member.sum(0) == 3).all()
    assert (member[::2].sum(1) == 3).all() and torch.equal(member[1::2], ~member[::2])
    assert torch.equal(member, halves("any", 6, 7, seed=3))
    assert not torch.equal(member, halves("any", 6, 7, seed=4))
    assert not torch.equal(member, halves("other", 6, 7, seed=3))
    with pytest.raises(ConfigError, match="analysis 'any' expects at least 4 private people, got 3"):
        halves("any", 6, 3, seed=0)


def test_the_interval_is_over_people():
    """Half of the people are told surely and half not at all: which are drawn makes the difference."""
    member = halves("any", 8, 20, seed=0)
    scores = torch.where(torch.arange(20) < 10, member.double(), 0.5)
    low, high = auc_interval("any", scores, member, seed=0)
    assert low < auc(scores, member) - 0.05 and high > auc(scores, member) + 0.05
    assert auc_interval("any", torch.full((8, 20), 0.3), member, seed=0) == (0.5, 0.5)  # nothing is told


@pytest.mark.parametrize("people", [4, 9, 40])
def test_people_who_are_all_told_apart_have_a_bound(people):
    member = halves("any", 8, people, seed=0)
    bound = 0.05 ** (2 / people)
    right, wrong = (auc_interval("any", sign * member.double(), member, seed=0) for sign in (1, -1))
    assert right == (pytest.approx(bound), 1.0) and wrong == (0.0, pytest.approx(1 - bound))
    scores = member.double()
    scores[0, 0] = -0.5 if member[0, 0] else 1.5  # one score in the wrong order makes nobody surer
    low, high = auc_interval("any", scores, member, seed=0)
    assert low <= right[0] < auc(scores, member) < 1 and high >= auc(scores, member)


def some_reversed(dice, people, share):
    """Return scores (8, people) and who is a member; a `share` of people is in the wrong order with all."""
    member = halves("any", 8, people, seed=int(dice.integers(1000)))
    wrong = torch.from_numpy(dice.random(people) < share)
    noise = torch.from_numpy(dice.random((8, people))) / 4
    return torch.where(wrong, 2.0 - 3 * member.double(), member.double()) + noise, member


@pytest.mark.parametrize("people", [4, 9, 40])
def test_at_the_bound_all_are_told_apart_in_one_case_of_twenty(people):
    """The worst case. Two people are told apart if neither is reversed, which is the true AUC."""
    share, dice = 1 - math.sqrt(bound_of_complete(people)), np.random.default_rng(people)
    complete = sum(auc(*some_reversed(dice, people, share)) == 1 for _ in range(600))
    assert 15 <= complete <= 48  # 30 +- 18: 3.4 standard deviations


@pytest.mark.parametrize("people", [4, 31])
@pytest.mark.parametrize("expected", [0.7, 1.5])
def test_intervals_hold_the_truth_where_hardly_anybody_is_in_the_wrong_order(people, expected, monkeypatch):
    """So many people are reversed on average, and often none: a bootstrap alone holds it in .50 to .83."""
    monkeypatch.setattr(member_scores, "DRAWS", 50)
    share, dice = expected / people, np.random.default_rng([people, int(10 * expected)])
    truth, held = (1 - share) ** 2, 0
    for number in range(60):
        low, high = auc_interval("any", *some_reversed(dice, people, share), seed=number)
        held += low <= truth <= high
    assert held >= 53  # of 60, at .95: fewer have a chance of .01


def test_people_are_labelled_anew():
    labels = torch.arange(6).repeat_interleave(2)
    pictures = Images(
        pixels=labels.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone(),
        labels=labels,
        names=tuple(f"person {label}" for label in range(6)),
        files=tuple(map(str, range(12))),
    )
    member = torch.tensor([False, True, True, False, True, False])
    part = only(pictures, member)
    assert part.names == ("person 1", "person 2", "person 4")
    assert part.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert part.pixels[:, 0, 0, 0].tolist() == [1, 1, 2, 2, 4, 4]
