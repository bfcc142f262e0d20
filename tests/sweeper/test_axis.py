import random

import pytest

from sweeper.axis import Axis, axis_for


def trials(numbers, spread=0.0, name="attack_accuracy"):
    return [{"values": {name: v}, "interval": {name: [v - spread, v + spread]}} for v in numbers]


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
