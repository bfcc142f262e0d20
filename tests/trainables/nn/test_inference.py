"""Lean copies: same outputs, same input gradients, original untouched."""

import pytest
import torch
from architecture_costs import HEAVY, NAMES, SIBLINGS, each, smallest_size
from torch import nn

from trainables.architectures import get_architecture
from trainables.nn.inference import inference_copy
from trainables.priors.gmi import generator


def lived(network: nn.Module) -> nn.Module:
    """Give batch norms statistics and weights as training would, and return the network in train mode."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.train()


def _small(name):
    size = smallest_size(name)
    return get_architecture(name).build(4, size), (3, size, size)


NETWORKS = {name: lambda name=name: _small(name) for name in NAMES}
NETWORKS["generator"] = lambda: (generator(10, 4, 32), (10,))


@pytest.mark.parametrize("name", [*each(SIBLINGS, HEAVY - {"facenet64"}), "generator"])
def test_same_outputs_and_input_gradients(name):
    network, shape = NETWORKS[name]()
    network = lived(network).double()  # in float64 the copies agree to its rounding
    before = {k: v.clone() for k, v in network.state_dict().items()}
    flags = [weight.requires_grad for weight in network.parameters()]
    fast = inference_copy(network, "cpu")
    assert network.training and flags == [weight.requires_grad for weight in network.parameters()]
    assert not fast.training and not any(weight.requires_grad for weight in fast.parameters())
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    network.eval()
    results = []
    for net in (network, fast):
        x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1)).double().requires_grad_(True)
        y = net(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), x)))
    scale = results[0][1].abs().max().item()
    torch.testing.assert_close(results[0][0], results[1][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-4 * max(1, scale), rtol=1e-4)
