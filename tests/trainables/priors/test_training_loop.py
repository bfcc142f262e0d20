"""The loop of trainings: what it reports and refuses."""

import pytest
import torch

from trainables.errors import TrialError
from trainables.priors.training_loop import train_loop
from trainables.runtime.run import Run


def losses(values):
    return ({"critic_loss": torch.tensor(value)} for value in values)


def test_the_last_step_is_reported_among_the_units_of_the_whole():
    reports = []
    run = Run(report=lambda *a, **m: reports.append((*a, m)))
    train_loop(losses([3.0, 2.0, 1.0]), 3, run=run, units=5)
    assert reports[-1] == ("prior", 3, 5, {"critic_loss": 1.0})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_fails_the_trial(value):
    with pytest.raises(TrialError, match="losses are not finite at step 2 of 2"):
        train_loop(losses([1.0, value]), 2, run=Run())
