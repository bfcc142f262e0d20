"""Learning rates of each schedule, against those computed by hand."""

import math

import pytest
from torch import nn

from trainables.training.classifier import Target, make_optimizer
from trainables.training.schedule import make_schedule


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.3] * 6),
        ("cosine", [0.3 * ((1 + math.cos(math.pi * done / 6)) / 2) for done in range(6)]),
        ("multistep", [0.3, 0.3, 0.3 * 0.5, 0.3 * 0.5, 0.3 * 0.5, 0.3 * 0.5 * 0.5]),
    ],
)
def test_learning_rates_of_each_schedule(schedule, rates):
    milestones = (2, 5) if schedule == "multistep" else ()
    recipe = Target(
        architecture="x", epochs=6, learning_rate=0.3, schedule=schedule, milestones=milestones, gamma=0.5
    )
    weight = nn.Linear(1, 1)
    optimizer = make_optimizer(weight, recipe)
    stepped, reached = make_schedule(optimizer, recipe), []
    for _ in range(6):
        reached.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        stepped.step()
    assert reached == rates  # to the bit: stored results were trained at these rates
