"""The interval of a maximum, against simulated attacks whose truth is known."""

from math import comb, sqrt

import pytest
import torch

from trainables.metrics.attack_accuracy import interval95
from trainables.metrics.strongest import interval_of_maximum, people_found


def simulated(rates, people, restarts, seed):
    """Return (A, N) success rates of attacks for which the same people are easy."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.distributions.Normal(0.0, 1.0)
    ease = torch.randn(people, generator=generator)
    scores = (normal.icdf(torch.tensor(rates))[:, None] + 0.3**0.5 * ease) / 0.7**0.5
    success = torch.rand(restarts, len(rates), people, generator=generator) < normal.cdf(scores)
    return success.double().mean(0)


@pytest.mark.parametrize(
    ("rates", "people", "restarts"),
    [([0.03] * 13, 60, 1), ([0.03] * 13, 60, 5), ([0.01, 0.05, 0.3], 60, 1), ([0.8] * 5, 60, 3)],
)
def test_it_covers_the_highest_true_rate(rates, people, restarts):
    """At a coverage of .95 fewer than 180 of 200 have a chance of one in a thousand."""
    covered = 0
    for seed in range(200):
        low, high = interval_of_maximum(simulated(rates, people, restarts, seed), [restarts] * len(rates))
        covered += low <= max(rates) <= high
    assert covered >= 180


def test_the_strongest_attacks_own_interval_does_not_cover_it():
    above = 0
    for seed in range(200):
        rates = simulated([0.03] * 13, 60, 1, seed)
        above += interval95(rates[rates.mean(1).argmax()], 1)[0] > 0.03
    assert above > 40


def highest_of_draws(people, found):
    """Return the chance of each higher rate of two attacks when people are drawn again, {rate: chance}.

    The attacks find `found` people each, and nobody in common, so that both counts are multinomial.
    """
    shares, chances = [count / people for count in found], {}
    for a in range(people + 1):
        for b in range(people + 1 - a):
            ways = comb(people, a) * comb(people - a, b)
            chance = ways * shares[0] ** a * shares[1] ** b * (1 - sum(shares)) ** (people - a - b)
            drawn = zip(shares, (a / people, b / people), strict=True)
            highest = max(share + (rate - share) * sqrt(people / (people - 1)) for share, rate in drawn)
            chances[round(highest, 9)] = chances.get(round(highest, 9), 0.0) + chance
    return dict(sorted(chances.items()))


@pytest.mark.parametrize(
    ("people", "found", "lowest"), [(16, (7, 5), "basic"), (20, (10, 10), "bias"), (2, (1, 1), "bias")]
)
def test_the_low_end_against_all_draws_of_two_attacks(people, found, lowest):
    rates = torch.zeros(2, people, dtype=torch.float64)
    rates[0, : found[0]], rates[1, found[0] : sum(found)] = 1.0, 1.0
    chances, mean, below = highest_of_draws(people, found), found[0] / people, 0.0
    for highest, chance in chances.items():
        if below + chance > 0.975:
            quantile = highest
            break
        below += chance
    assert below < 0.962 and below + chance > 0.985  # a thousand draws have the same quantile
    own, high = interval95(rates[0], 1)
    bias = sum(highest * chance for highest, chance in chances.items()) - mean
    ends = {"bias": max(0.0, own - bias), "basic": max(0.0, 2 * mean - quantile)}
    assert min(ends, key=ends.get) == lowest and ends[lowest] < own - 0.02
    for order in ([0, 1], [1, 0]):
        low, same = interval_of_maximum(rates[order], [1, 1])
        assert same == interval95(rates[order][rates[order].mean(1).argmax()], 1)[1] == high
        assert low == pytest.approx(ends[lowest], abs=1e-7 if lowest == "basic" else 0.008)


def test_one_attack_keeps_its_interval():
    rates = simulated([0.3], 40, 5, 0)
    assert interval_of_maximum(rates, [5]) == interval95(rates[0], 5)


def test_equal_attacks_that_agree_on_everybody_have_no_luck_of_choice():
    rates = simulated([0.3], 60, 5, 1)
    low, high = interval_of_maximum(rates.repeat(3, 1), [5, 5, 5])
    alone = interval95(rates[0], 5)
    assert high == alone[1]
    assert low == pytest.approx(alone[0], abs=0.03)


def test_the_restarts_of_the_strongest_count():
    rates = torch.stack([torch.zeros(40, dtype=torch.float64), simulated([0.4], 40, 4, 2)[0]])
    assert interval_of_maximum(rates, [9, 4])[1] == interval95(rates[1], 4)[1]


def test_it_is_the_same_at_every_call_and_stays_in_bounds():
    rates = simulated([0.02] * 4, 30, 1, 5)
    assert interval_of_maximum(rates, [1] * 4) == interval_of_maximum(rates, [1] * 4)
    assert interval_of_maximum(torch.zeros(3, 10), [1] * 3)[0] == 0.0


def test_somebody_is_found_whom_any_attack_recovers_in_any_restart():
    per_identity = torch.tensor([[0.0, 0.2, 0.0, 1.0], [0.0, 0.0, 0.0, 0.4], [0.0, 0.0, 0.6, 0.0]])
    assert people_found(per_identity) == 3
    assert people_found(torch.zeros(2, 5)) == 0
