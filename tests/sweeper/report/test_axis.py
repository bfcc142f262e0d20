import random
from itertools import pairwise

import pytest
from records import as_trial

from sweeper.report.axis import Axis, axis_for
from sweeper.statistics.round_numbers import round_values


def trials(numbers, spread=0.0, name="attack_accuracy"):
    return [as_trial({"values": {name: v}, "interval": {name: [v - spread, v + spread]}}) for v in numbers]


@pytest.mark.parametrize("seed", range(20))
def test_everything_measured_lies_on_the_axis(seed):
    draw = random.Random(seed)
    scale = 10.0 ** draw.randint(-3, 4)
    numbers = [draw.uniform(1, 2) * scale for _ in range(draw.randint(1, 9))]
    axis = axis_for("attack_accuracy", "minimize", trials(numbers, 0.1 * scale), 70.0, 800.0)
    assert axis.low == 0.0
    for v in numbers:
        assert 70 <= axis(v - 0.1 * scale) <= axis(v) <= axis(v + 0.1 * scale) <= 800
    assert 3 <= len(axis.ticks) <= 12
    assert all(axis.low <= tick <= axis.high + 1e-9 for tick in axis.ticks)


@pytest.mark.parametrize("numbers", [[], [0.0], [0.5], [0.9, 0.9]])
def test_an_axis_of_little_is_still_an_axis(numbers):
    axis = axis_for("test_accuracy", "maximize", trials(numbers, name="test_accuracy"), 480.0, 60.0)
    assert axis.high > axis.low >= 0
    assert axis.ticks


def test_ticks_are_round_and_labelled_in_their_unit():
    axis = Axis("test_accuracy", "maximize", 0.38, 1.0, 0, 100)
    assert axis.ticks == pytest.approx([0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert axis.word(0.9) == "90 %"
    assert Axis("knn_distance", "maximize", 0, 2000, 0, 1).word(1500.0) == "1500"


@pytest.mark.parametrize(
    ("low", "high", "most"), [(0.15, 0.93, 9), (0.81, 0.83, 4), (600, 2000, 9), (0.3, 0.3, 5)]
)
def test_round_values_are_few_and_inside(low, high, most):
    found = round_values(low, high, most)
    assert 1 <= len(found) <= most
    assert all(low - 1e-9 <= v <= high + 1e-9 for v in found)
    steps = {round(b - a, 9) for a, b in pairwise(found)}
    assert len(steps) <= 1


@pytest.mark.parametrize("numbers", [[0.981, 0.982, 0.984], [1.0, 1.0], [0.0, 0.001], [0.5, 0.52]])
def test_shares_that_are_nearly_equal_look_nearly_equal(numbers):
    axis = axis_for("test_accuracy", "maximize", trials(numbers, name="test_accuracy"), 480.0, 60.0)
    assert axis.high - axis.low >= 0.1
    assert axis.low <= min(numbers) and max(numbers) <= axis.high
    assert abs(axis(max(numbers)) - axis(min(numbers))) <= 420 * (max(numbers) - min(numbers)) / 0.1
    wide = axis_for("knn_distance", "maximize", trials([900.0, 901.0], name="knn_distance"), 0, 1)
    assert wide.high - wide.low >= 90
