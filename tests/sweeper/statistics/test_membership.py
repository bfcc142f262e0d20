from itertools import product

import numpy as np
import pytest

from sweeper.statistics.membership import front_probability, non_dominated_rows
from sweeper.statistics.pareto import non_dominated

DIRECTIONS = ("maximize", "minimize")


def test_the_share_of_draws_is_that_of_all_draws_there_are():
    """Two trials with two seeds each: every draw of residuals is counted, all 4^4 of them."""
    measured = [np.array([[0.80, 0.30], [0.84, 0.36]]), np.array([[0.78, 0.28], [0.80, 0.34]])]
    pool = np.concatenate([(one - one.mean(0)) * np.sqrt(2) for one in measured])
    means = [one.mean(0) for one in measured]
    counts = np.zeros(2)
    for a, b, c, d in product(pool, repeat=4):
        values = [means[0] + (a + b) / 2, means[1] + (c + d) / 2]
        counts += non_dominated(values, DIRECTIONS)
    exact = counts / len(pool) ** 4
    assert 0.1 < exact.min() < exact.max() <= 1.0  # the case decides nothing by itself
    assert front_probability(measured, DIRECTIONS, draws=40_000) == pytest.approx(exact, abs=0.01)


def test_tables_of_rows_are_what_one_front_at_a_time_says():
    costs = np.random.default_rng(0).random((50, 7, 3)).round(1)
    expected = [non_dominated(table, ["minimize"] * 3) for table in costs]
    assert (non_dominated_rows(costs) == expected).all()


def test_without_a_second_seed_nothing_is_known():
    assert front_probability([[[0.5, 0.5]], [[0.6, 0.4]]], DIRECTIONS) is None
    sure = front_probability([[[0.5, 0.5], [0.5, 0.5]], [[0.6, 0.4]]], DIRECTIONS)
    assert sure.tolist() == [0.0, 1.0]  # no spread between seeds: what was measured is so


def test_the_same_question_gets_the_same_answer():
    measured = list(np.random.default_rng(1).random((6, 3, 2)))
    first, again = (front_probability(measured, DIRECTIONS, draws=500) for _ in range(2))
    assert (first == again).all()


def noisy_study(draw, trials=40):
    """Return the true and the measured values of trials along a trade-off, most of them below it."""
    depth = draw.random(trials)
    accuracy = 0.95 - 0.5 * depth**2 - draw.exponential(0.04, trials)
    leak = 0.7 * (1 - depth) ** 1.2 + 0.02 + draw.exponential(0.03, trials)
    true = np.stack([accuracy, leak], axis=1)
    return true, true + draw.normal(0, NOISE, true.shape)


NOISE = (0.01, 0.02)  # of test and attack accuracy, from seed to seed


def test_fresh_seeds_find_the_members_that_are_not_truly_on_the_front():
    draw = np.random.default_rng(5)
    members = false = found = doubted = 0
    sure, truth = [], []
    for study in range(30):
        true, seen = noisy_study(draw)
        on_front, truly = non_dominated(seen, DIRECTIONS), non_dominated(true, DIRECTIONS)
        near = [non_dominated(np.vstack([seen[on_front], row - [0, 0.04]]), DIRECTIONS)[-1] for row in seen]
        measured = np.flatnonzero(on_front | near)
        fresh = [true[i] + draw.normal(0, NOISE, (3, 2)) for i in measured]
        probability = front_probability(fresh, DIRECTIONS, draws=1000, seed=study)
        for number, p in zip(measured, probability, strict=True):
            if on_front[number]:
                members += 1
                false += not truly[number]
                found += not truly[number] and p < 0.5
                doubted += bool(truly[number]) and p < 0.5
        sure += probability.tolist()
        truth += truly[measured].tolist()
    kept = members - found - doubted
    assert 0.12 <= false / members <= 0.35  # a noisy front, as measured before
    assert found / false >= 0.65
    assert doubted / (members - false) <= 0.2
    assert (false - found) / kept <= 0.5 * false / members  # what is left is half as often false
    sure, truth = np.array(sure), np.array(truth)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):  # and the figure means about what it says
        chosen = (sure >= low) & (sure <= low + 0.2)
        assert truth[chosen].mean() == pytest.approx(sure[chosen].mean(), abs=0.2)
