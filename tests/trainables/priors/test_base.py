import torch
from torch import nn

from trainables.priors.base import PriorNetworks, inference_prior
from trainables.priors.gmi import GMIPrior
from trainables.runtime.run import Run


def test_a_lean_prior_is_a_copy():
    prior = PriorNetworks(nn.Linear(3, 4), nn.Linear(4, 1), 3)
    fast = inference_prior(prior, "cpu")
    assert fast.latent_size == 3 and torch.equal(fast.generator.weight, prior.generator.weight)
    assert prior.generator.weight.requires_grad and not fast.generator.weight.requires_grad
    assert not fast.discriminator.weight.requires_grad and not fast.discriminator.training


def test_untrained_networks_follow_from_the_seed_alone():
    prior = GMIPrior(width=2, latent_size=4)
    torch.manual_seed(5)
    first = prior.untrained(32, run=Run(seed=1))
    torch.manual_seed(6)
    again, other = (prior.untrained(32, run=Run(seed=seed)) for seed in (1, 2))
    weights = [next(networks.generator.parameters()) for networks in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert first.generator.training and first.discriminator.training
