"""A surrogate whose training is killed goes on after its last saved batch, to the same bits."""

import pytest
import torch
from torch import nn

from trainables.priors.surrogates import teach
from trainables.priors.training_loop import Checkpoint
from trainables.runtime.run import Run
from trainables.storage.resume import Resume


class Killed(Exception):
    """Stands for a kill."""


def test_a_killed_surrogate_goes_on_with_its_rate_and_its_dropout(tmp_path):
    labels = torch.arange(10) % 2
    pictures = torch.rand(10, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def learn(resume, killed_in=None):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Dropout(0.4), nn.Linear(192, 2))
        made = []

        def images(index):
            made.append(index)
            if len(made) == killed_in:
                raise Killed
            return pictures[index]

        teach(
            network,
            images,
            labels,
            epochs=5,
            steps=3,
            batch_size=4,
            learning_rate=0.05,
            generator=torch.Generator().manual_seed(0),
            run=Run(resume=resume),
            checkpoint=Checkpoint(Run(resume=resume), "surrogate", network=network),
        )
        return network[2].weight, len(made)

    whole, made = learn(Resume())
    assert made == 15
    with pytest.raises(Killed):
        learn(Resume(tmp_path, every=0.0), killed_in=8)  # in the midst of the third epoch
    again, made = learn(Resume(tmp_path))
    assert made == 8 and torch.equal(again, whole)
    again, made = learn(Resume(tmp_path))
    assert made == 0 and torch.equal(again, whole)
