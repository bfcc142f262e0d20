"""Power and verdict against counts by hand, and their coverage in simulations."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from trainables.controls.power import Power, Rates, Verdict, power, verdict
from trainables.metrics.attack_accuracy import NORMAL_975, interval95
from trainables.results import Interval


def rates(*values: float, tries: int = 2, independent: bool = False) -> Rates:
    return Rates(per_identity=tuple(values), tries=tries, independent=independent)


def people(hits: int, of: int = 40, tries: int = 1) -> Rates:
    """Return `hits` people who are always found among `of`."""
    return rates(*[1.0] * hits, *[0.0] * (of - hits), tries=tries)


FLOOR = rates(*[0.2, 0.1] * 2, *[0.4 / 36] * 36, tries=1000, independent=True)  # mean 1 / 40


def test_power_is_the_share_of_the_way_from_floor_to_ceiling():
    undefended, ceiling = people(20), people(36)
    measured = power(undefended, FLOOR, ceiling)
    assert measured.null == pytest.approx(0.025)
    assert (measured.undefended, measured.ceiling) == (0.5, 0.9)
    assert measured.power == pytest.approx((0.5 - 0.025) / (0.9 - 0.025))
    assert measured.interval is not None
    assert measured.interval.low < measured.power < measured.interval.high
    assert power(undefended, FLOOR, ceiling) == measured  # the same draws every time
    assert power(undefended, FLOOR, ceiling, seed=1) != measured
    assert power(undefended, FLOOR, ceiling, draws=50) != measured


def test_people_are_drawn_again_together():
    """Where the same people are found on both targets, power is certain though each rate is not."""
    nobody = rates(*[0.0] * 40, tries=1000, independent=True)
    halves = rates(*[0.5] * 20, *[0.0] * 20)
    wholes = rates(*[1.0] * 20, *[0.0] * 20)
    together = power(halves, nobody, wholes)
    apart = power(halves, nobody, rates(*[0.0] * 20, *[1.0] * 20))
    assert together.power == apart.power == 0.5
    assert together.interval is not None and apart.interval is not None
    assert together.interval.high - together.interval.low < 0.1  # only the floor of nobody is uncertain
    assert apart.interval.high - apart.interval.low > 0.5


def test_nobody_found_and_everybody_found_is_not_certain():
    everybody, nobody = people(40), rates(*[0.0] * 40, tries=1000, independent=True)
    measured = power(everybody, nobody, everybody)
    assert measured.power == 1 and measured.interval is not None
    assert measured.interval.low < 1


@pytest.mark.parametrize("ceiling", [None, FLOOR, people(1)])
def test_no_power_without_a_ceiling_above_the_floor(ceiling):
    measured = power(people(20), FLOOR, ceiling)
    assert measured.power is None and measured.interval is None
    assert measured.ceiling == (None if ceiling is None else ceiling.mean)


def test_a_floor_of_zero_is_as_sure_as_its_pictures():
    """Nobody named in 1,000 pictures each of 4 people: Wilson's end for 0 of 4,000."""
    squared = NORMAL_975**2
    floor = rates(0, 0, 0, 0, tries=1000, independent=True)
    assert floor.interval == Interval(low=0.0, high=squared / (4000 + squared))
    restarts = rates(0, 0, 0, 0, tries=1000)
    assert (restarts.interval.low, restarts.interval.high) == interval95(torch.zeros(4), 1000)


@pytest.mark.parametrize(
    ("hits", "expected"), [(20, "tells"), (6, "tells"), (2, "cannot tell"), (0, "cannot tell")]
)
def test_the_verdict_asks_whether_the_undefended_interval_is_clear_of_the_floor(hits, expected):
    undefended = people(hits)
    assert (undefended.interval.low > FLOOR.interval.high) == (expected == "tells")
    result = verdict(undefended, FLOOR)
    assert result.verdict == expected
    nobody = f"below {1 - 0.05 ** (1 / len(undefended.per_identity)):.3f} at 95 %"
    assert (f"{undefended.mean:.3f} [" if hits else nobody) in result.reason and "0.025" in result.reason
    assert bool(result.remedies) == (expected == "cannot tell")


def with_seeds(rates: Rates, low: float, high: float) -> Rates:
    return replace(rates, with_seeds=Interval(low=low, high=high))


def test_a_verdict_is_by_intervals_that_hold_training_seeds_where_these_are_known():
    assert verdict(people(20), FLOOR).verdict == "tells"
    wide = verdict(with_seeds(people(20), 0.01, 0.9), FLOOR)
    assert wide.verdict == "cannot tell" and "0.500 [0.010, 0.900] over people and training" in wide.reason
    for hits, words in ((1, "too weak"), (30, "too few people")):  # the reason is sought over people alone
        positive, ceiling = with_seeds(people(hits), 0.005, 0.99), with_seeds(people(36), 0.01, 0.99)
        reason = verdict(with_seeds(people(20), 0.01, 0.9), FLOOR, ceiling, positive).reason
        assert words in reason and f"{hits / 40:.3f} [0.005, 0.990]" in reason


def test_power_with_seeds_is_as_uncertain_as_the_trainings():
    undefended, ceiling = people(20), people(36)
    plain, noisy = power(undefended, FLOOR, ceiling), power(undefended, FLOOR, ceiling, seed_deviation=0.3)
    assert noisy.power == plain.power
    assert plain.interval is not None and noisy.interval is not None
    assert noisy.interval.low < plain.interval.low and noisy.interval.high > plain.interval.high
    hair = power(undefended, FLOOR, ceiling, seed_deviation=1e-9)
    assert hair.interval is not None
    assert hair.interval.low == pytest.approx(plain.interval.low, abs=1e-6)


@pytest.mark.parametrize(
    ("ceiling", "positive", "first", "words"),
    [
        (people(1), people(20), "prior", "best view of the people"),
        (people(36), people(20), "people", "too few people"),
        (people(36), people(1), "iterations", "too weak"),
        (people(36), None, "people", ""),
        (None, None, "people", ""),
    ],
)
def test_remedies_follow_from_the_other_controls(ceiling, positive, first, words):
    result = verdict(people(2), FLOOR, ceiling, positive)
    assert result.verdict == "cannot tell" and result.remedies[0] == first and words in result.reason


def test_both_survive_json():
    for measured in (power(people(20), FLOOR, people(36)), power(people(20), FLOOR, None)):
        document = json.loads(json.dumps(measured.to_json()))
        assert list(document) == ["null", "undefended", "ceiling", "power", "interval"]
        assert Power.from_json(document) == measured
    result = verdict(people(2), FLOOR)
    assert Verdict.from_json(json.loads(json.dumps(result.to_json()))) == result


def drawn(generator, mean, count, tries):
    """Return (count,) shares of successes of people whose own rates vary around `mean` (ICC 0.3)."""
    own = generator.beta(mean * 7 / 3, (1 - mean) * 7 / 3, size=count)
    return generator.binomial(tries, own) / tries


@pytest.mark.parametrize(
    ("undefended", "ceiling", "count"), [(0.5, 0.9, 40), (0.03, 0.8, 214), (0.9, 0.95, 100)]
)
def test_the_interval_covers_the_power_of_people_like_these(undefended, ceiling, count):
    generator, covered, repetitions = np.random.default_rng(0), 0, 150
    floor = rates(*[1 / count] * count, tries=1000, independent=True)
    true = (undefended - 1 / count) / (ceiling - 1 / count)
    for _ in range(repetitions):
        first = drawn(generator, undefended, count, 2)
        second = drawn(generator, ceiling, count, 2)
        measured = power(rates(*first), floor, rates(*second), draws=300)
        interval = measured.interval
        covered += interval is not None and interval.low <= true <= interval.high
    assert covered / repetitions > 0.9


def test_an_attack_that_sees_nothing_is_seldom_taken_for_one_that_tells():
    generator, people_count, repetitions = np.random.default_rng(0), 60, 400
    shares = generator.dirichlet([0.3] * people_count)  # a few people take most pictures
    told = 0
    for _ in range(repetitions):
        floor = generator.multinomial(1000, shares) / 1000
        hits = generator.binomial(2, shares) / 2
        told += verdict(rates(*hits), rates(*floor, tries=1000, independent=True)).verdict == "tells"
    assert told / repetitions <= 0.025
