"""The loop of trainings: what it reports and refuses; an average that starts over."""

import pytest
import torch
from torch import nn

from trainables.errors import TrialError
from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
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


def test_the_average_starts_over_after_a_tenth_of_the_steps():
    prior = GMIPrior(epochs=20, batch_size=2, averaging=0.5)
    generator = nn.Linear(1, 1, bias=False)
    values = [float(number) for number in range(1, 21)]

    def steps():
        for value in values:
            with torch.no_grad():
                generator.weight.fill_(value)
            yield torch.zeros(()), torch.zeros(())

    networks = prior.fit(PriorNetworks(generator, nn.Identity(), 1), steps(), 2, run=Run())
    expected = values[1]
    for value in values[2:]:
        expected = 0.5 * expected + 0.5 * value
    assert networks.generator.weight.item() == pytest.approx(expected)
    assert generator.weight.item() == 20
