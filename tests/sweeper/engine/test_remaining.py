"""Time left: bounds of work side by side, and an estimate that what ended corrects."""

import itertools
import random

import pytest

from sweeper.engine.remaining import OVERHEAD, START, Remaining, side_by_side, sweep_seconds, trial_seconds
from trainables.runtime.duration import Duration

ESTIMATE = {
    "pretrained": Duration.exactly(0),
    "judge": Duration(low=20, high=40),
    "prior": Duration(low=50, high=70),
    "target": Duration(low=10, high=14),
    "attack": Duration(low=30, high=40),
    "evaluation": Duration(low=1, high=2),
}


def makespan(work, places):
    """Return the end of `work`, begun in its order, each piece at the place that is free first."""
    free = [0.0] * places
    for seconds in work:
        place = free.index(min(free))
        free[place] += seconds
    return max(free)


@pytest.mark.parametrize("places", [1, 2, 3, 5])
def test_any_order_at_any_duration_ends_between_the_bounds(places):
    dice = random.Random(places)
    for _ in range(30):
        ends = [sorted((dice.uniform(0, 10), dice.uniform(0, 10))) for _ in range(dice.randint(1, 5))]
        work = [Duration(low=low, high=high) for low, high in ends]
        bounds = side_by_side(work, places)
        for order in itertools.permutations(dice.uniform(*end) for end in ends):
            assert bounds.low - 1e-9 <= makespan(order, places) <= bounds.high + 1e-9


def test_one_place_adds_up_and_nothing_takes_nothing():
    work = [Duration(low=1, high=2), Duration(low=3, high=5)]
    assert side_by_side(work, 1) == Duration(low=4, high=7)
    assert side_by_side([], 3) == Duration.exactly(0)


def test_a_sweep_is_its_start_its_shared_stages_and_its_trials():
    each = trial_seconds(ESTIMATE)
    assert each == Duration(low=41, high=56) + OVERHEAD
    assert sweep_seconds(ESTIMATE, 3) == START + Duration(low=70, high=110) + each * 3
    assert trial_seconds(ESTIMATE, 2) == Duration(low=82, high=112) + OVERHEAD
    aside = sweep_seconds(ESTIMATE, 4, concurrent=2)
    assert aside.low == START.low + 50 + 2 * each.low  # the prior is the longest stage


def test_before_anything_ends_the_estimate_stands():
    remaining = Remaining(ESTIMATE)
    assert remaining.trials(4, 1) == trial_seconds(ESTIMATE) * 4
    assert remaining.shared(["prior", "judge"], 1) == Duration(low=70, high=110)
    assert remaining.trials(0, 1) == Duration.exactly(0)


def test_without_an_estimate_nothing_is_known_until_a_trial_has_ended():
    remaining = Remaining({})
    assert remaining.trials(4, 1) is None
    assert remaining.shared(["prior"], 1) is None
    assert remaining.shared([], 1) == Duration.exactly(0)
    remaining.ended("trial", 100.0)
    left = remaining.trials(4, 1)
    assert left.low < 400 < left.high < 800


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_a_stage_that_ends_corrects_those_that_have_not(factor):
    remaining = Remaining(ESTIMATE)
    remaining.ended("judge", factor * 30.0)  # 30 is the middle of the estimate
    price = remaining.shared(["prior"], 1)
    assert price.low < factor * 60 < price.high
    trials = remaining.trials(2, 1)
    assert trials.low < 2 * (factor * 48.5 + OVERHEAD.middle) < trials.high
    for stage in ("target", "prior"):
        remaining.ended(stage, factor * ESTIMATE[stage].middle)
    closer = remaining.trials(2, 1)
    assert closer.high - closer.low < trials.high - trials.low
    assert closer.low < 2 * (factor * 48.5 + OVERHEAD.middle) < closer.high


def test_finished_trials_narrow_the_range_around_what_they_took():
    remaining, widths = Remaining(ESTIMATE), []
    dice = random.Random(3)
    for _ in range(30):
        left = remaining.trials(20, 2)
        widths.append(left.high - left.low)
        remaining.ended("trial", dice.uniform(180, 220))  # four times the estimate
    left = remaining.trials(20, 1)
    assert left.low < 20 * 200 < left.high
    assert left.high - left.low < 0.2 * left.middle
    assert widths[-1] < widths[1]


def test_what_running_trials_have_taken_is_not_counted_again():
    remaining = Remaining({})
    for _ in range(2):
        remaining.ended("trial", 100.0)
    alone, running = remaining.trials(2, 2), remaining.trials(2, 2, spent=[60.0, 60.0])
    assert running.high == pytest.approx(alone.high - 60.0)
    late = remaining.trials(2, 2, spent=[500.0, 500.0])
    assert 0 <= late.low <= late.high < alone.high


def test_a_stage_that_took_nothing_is_no_ratio():
    remaining = Remaining(ESTIMATE)
    remaining.ended("pretrained", 0.0)
    assert remaining.trials(1, 1) == trial_seconds(ESTIMATE)


@pytest.mark.parametrize("known", [[], ["prior"]])
def test_a_stage_estimated_at_nothing_tells_nothing_of_the_others(known):
    remaining, without = Remaining(ESTIMATE), Remaining(ESTIMATE)
    for stage in known:
        remaining.ended(stage, 60.0)
        without.ended(stage, 60.0)
    remaining.ended("pretrained", 100.0)
    assert remaining.trials(3, 1) == without.trials(3, 1)
    assert remaining.shared(["judge"], 1) == without.shared(["judge"], 1)


def test_a_frozen_target_says_little_of_other_stages_and_something_of_targets():
    remaining = Remaining(ESTIMATE)
    before = remaining.trials(10, 1)
    remaining.ended("target", 0.1)
    after = remaining.trials(10, 1)
    assert after.high < before.high
    assert after.low >= 10 * (ESTIMATE["attack"].low + ESTIMATE["evaluation"].low)
    for _ in range(30):
        remaining.ended("target", 0.1)
    many = remaining.trials(10, 1)
    assert before.low - 10 * 10 - 1 < many.low < before.low - 10 * 8
