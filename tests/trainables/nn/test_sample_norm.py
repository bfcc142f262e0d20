"""Group norm in batch norm's place: rows by themselves, the same names, and statistics where frozen."""

import copy

import pytest
import torch
from torch import nn

from trainables.architectures.small_cnn import build
from trainables.nn.sample_norm import SampleNorm, groups_of, replace_batchnorm


def norm(channels: int = 16) -> nn.BatchNorm2d:
    torch.manual_seed(0)
    made = nn.BatchNorm2d(channels)
    made(3 * torch.randn(8, channels, 5, 5) + 1)
    with torch.no_grad():
        made.weight.uniform_(0.5, 2)
        made.bias.normal_()
    return made


def test_it_is_group_norm_with_the_weights_of_the_batch_norm():
    before = norm()
    x = torch.randn(4, 16, 5, 5)
    expected = nn.functional.group_norm(x, 4, before.weight, before.bias, before.eps)
    assert torch.equal(SampleNorm(before)(x), expected)
    flat = SampleNorm(nn.BatchNorm1d(64))(torch.randn(3, 64))
    assert torch.allclose(flat.reshape(3, 16, 4).mean(2), torch.zeros(3, 16), atol=1e-5)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_row_does_not_see_the_others_and_changes_nothing(frozen):
    made = SampleNorm(norm()).train()
    if frozen:
        made.use_statistics()
    before = copy.deepcopy(made.state_dict())
    x = torch.randn(4, 16, 5, 5)
    together = made(x)
    alone = torch.cat([made(row[None]) for row in x])
    assert torch.allclose(together, alone, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_with_statistics_it_is_batch_norm_in_eval_mode():
    before, x = norm(), torch.randn(4, 16, 5, 5)
    made = SampleNorm(copy.deepcopy(before))
    made.use_statistics()
    assert torch.equal(made.train()(x), before.eval()(x))


def test_weights_of_batch_norm_fit_and_its_own_say_which_it_is():
    before, x = norm(), torch.randn(4, 16, 5, 5)
    fresh = SampleNorm(nn.BatchNorm2d(16))
    fresh.load_state_dict(before.state_dict())
    assert torch.equal(fresh(x), SampleNorm(before)(x))
    frozen = SampleNorm(before)
    frozen.use_statistics()
    fresh.load_state_dict(frozen.state_dict())
    assert torch.equal(fresh(x), before.eval()(x))
    fresh.load_state_dict(before.state_dict())  # back again
    assert not torch.equal(fresh(x), before.eval()(x))


@pytest.mark.parametrize(
    ("channels", "groups"), [(512, 32), (64, 16), (16, 4), (24, 4), (54, 2), (4, 1), (3, 1)]
)
def test_groups_divide_the_channels_and_have_four_of_them(channels, groups):
    assert groups_of(channels) == groups
    assert channels % groups == 0


def test_every_batch_norm_of_a_network_is_replaced():
    network = build(5, 32)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    weights = network.state_dict()
    replace_batchnorm(network)
    assert norms and sum(isinstance(module, SampleNorm) for module in network.modules()) == norms
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    network.load_state_dict(weights)
    assert weights.keys() < network.state_dict().keys()
