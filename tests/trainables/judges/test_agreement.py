"""Agreement of judges, beside a count by hand."""

import pytest
import torch

from trainables.judges.agreement import kappa


def test_kappa_is_agreement_beyond_chance():
    first, other = torch.tensor([[0, 0, 1], [1, 2, 2]]), torch.tensor([[0, 1, 1], [1, 2, 0]])
    equal = 4 / 6
    chance = (2 * 2 + 2 * 3 + 2 * 1) / 36  # how often each names 0, 1 and 2
    assert kappa(first, other) == pytest.approx((equal - chance) / (1 - chance))
    assert kappa(first, first) == pytest.approx(1)
    assert kappa(torch.tensor([0, 1]), torch.tensor([1, 0])) == pytest.approx(-1)


def test_one_person_alone_says_nothing():
    assert kappa(torch.zeros(4).long(), torch.zeros(4).long()) is None
