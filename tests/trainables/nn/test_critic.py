import torch
from torch import nn

from trainables.nn.critic import Critic, realism


class Comparing(Critic):
    """Scores an image by the sum of its group."""

    compares_images = True

    def forward(self, x, group):
        return torch.cat([part.sum().expand(len(part)) for part in x.split(group)])


def test_realism_hands_the_group_to_a_discriminator_that_compares():
    images = torch.arange(5.0).reshape(5, 1, 1, 1)
    assert realism(Comparing(), images).tolist() == [0, 1, 2, 3, 4]
    assert realism(Comparing(), images, 2).tolist() == [1, 1, 5, 5, 4]
    assert realism(nn.Flatten(0), images, 2).tolist() == [0, 1, 2, 3, 4]
