"""A surrogate whose training is killed goes on after its last saved epoch, to the same bits."""

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
        told = []

        def progress(epoch, loss):
            told.append(epoch)
            if epoch == killed_in:
                raise Killed

        teach(
            network,
            lambda index: pictures[index],
            labels,
            epochs=5,
            steps=3,
            batch_size=4,
            learning_rate=0.05,
            generator=torch.Generator().manual_seed(0),
            progress=progress,
            checkpoint=Checkpoint(Run(resume=resume), "surrogate", network=network),
        )
        return network[2].weight, told

    whole, told = learn(Resume())
    assert told == [1, 2, 3, 4, 5]
    with pytest.raises(Killed):
        learn(Resume(tmp_path, every=0.0), killed_in=3)  # before it is saved
    again, told = learn(Resume(tmp_path))
    assert told == [3, 4, 5] and torch.equal(again, whole)
    again, told = learn(Resume(tmp_path))
    assert told == [] and torch.equal(again, whole)
