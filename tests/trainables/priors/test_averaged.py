import pytest
import torch
from torch import nn

from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
from trainables.runtime.run import Run


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
