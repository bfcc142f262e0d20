from dataclasses import replace

import numpy as np
import pytest
from records import as_trial

from sweeper.statistics.hypervolume import growth, hypervolume, volume_after, work

OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


def trial(number, point, seconds, **changes):
    values = {} if point is None else dict(zip(OBJECTIVES, point, strict=True))
    state = "failed" if point is None else "complete"
    stages = {"target": seconds / 2, "attack": seconds / 2}
    when = f"2026-01-01T00:{number:02d}:00+00:00"
    document = {"number": number, "state": state, "values": values, "seconds": stages, "finished": when}
    return as_trial(document | changes)


def test_it_grows_with_the_trials_in_the_order_of_their_ends():
    points = [(0.5, 0.25), (0.4, 0.5), (0.9, 0.6), (0.7, 0.1)]
    trials = [trial(n, point, 10 * (n + 1)) for n, point in enumerate(points)]
    early = replace(trials[3], finished="2026-01-01T00:00:30+00:00")
    steps = growth([*trials[:3], early], {0, 1, 2, 3}, OBJECTIVES, [0.0, 1.0])
    order = [0, 3, 1, 2]
    assert [step.number for step in steps] == order
    assert [step.seconds for step in steps] == [10, 50, 70, 100]
    for place, step in enumerate(steps):
        rows = np.array([points[number] for number in order[: place + 1]])
        assert step.volume == pytest.approx(hypervolume(rows, list(OBJECTIVES.values()), [0.0, 1.0]))


def test_trials_without_a_result_cost_time_alone():
    trials = [trial(0, (0.5, 0.25), 10), trial(1, None, 30), trial(2, (0.9, 0.1), 10)]
    steps = growth(trials, {0}, OBJECTIVES, [0.0, 1.0])  # 2 breaks a constraint
    assert [step.volume for step in steps] == [0.375] * 3
    assert [step.seconds for step in steps] == [10, 40, 50]
    assert work(as_trial({})) == 0.0
    running = trial(3, (0.9, 0.1), 1, state="running")
    assert len(growth([*trials, running], {0}, OBJECTIVES, [0.0, 1.0])) == 3


def test_the_volume_after_some_work():
    steps = growth([trial(n, (0.5 + n / 10, 0.5), 10) for n in range(3)], {0, 1, 2}, OBJECTIVES, [0.0, 1.0])
    assert [volume_after(steps, s) for s in (9, 10, 25, 99)] == pytest.approx([0, 0.25, 0.3, 0.35])
    assert volume_after([], 5) == 0.0


def test_three_objectives_grow_too():
    objectives = {**OBJECTIVES, "knn_distance": "maximize"}
    dice = np.random.default_rng(0)
    rows = dice.random((12, 3))
    trials = [
        trial(n, (0, 0), 1, values=dict(zip(objectives, row, strict=True))) for n, row in enumerate(rows)
    ]
    steps = growth(trials, set(range(12)), objectives, [0.0, 1.0, 0.0])
    assert steps[-1].volume == pytest.approx(hypervolume(rows, list(objectives.values()), [0.0, 1.0, 0.0]))


def test_a_thousand_trials_on_the_front_take_moments():
    from time import process_time

    trials = [trial(n, (n / 1000, n / 1000), 1, finished=f"{n:04d}") for n in range(1000)]
    start = process_time()
    steps = growth(trials, set(range(1000)), OBJECTIVES, [0.0, 1.0])
    assert process_time() - start < 5
    rows = np.arange(1000)[:, None] / 1000 * np.ones(2)
    assert steps[-1].volume == pytest.approx(hypervolume(rows, list(OBJECTIVES.values()), [0.0, 1.0]))


def test_validation_images_may_choose_what_lowers_the_hypervolume():
    trials = [trial(0, (0.9, 0.5), 10), trial(1, (0.5, 0.5), 10), trial(2, (0.9, 0.1), 10)]
    by = {
        0: (0.7, 0.5),
        1: (0.8, 0.5),
        2: (0.6, 0.6),
    }  # the second looks better than the first; the third bad
    steps = growth(trials, {0, 1, 2}, OBJECTIVES, [0.0, 1.0], by=by)
    assert [step.volume for step in steps] == pytest.approx([0.45, 0.25, 0.25])
    equal = growth(trials[:2], {0, 1}, OBJECTIVES, [0.0, 1.0], by={0: (0.7, 0.5), 1: (0.7, 0.5)})
    assert [step.volume for step in equal] == pytest.approx([0.45, 0.45])  # both are members
