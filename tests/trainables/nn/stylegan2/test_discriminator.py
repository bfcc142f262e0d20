"""StyleGAN2's discriminator against the published layers written out slowly, and its batch statistic."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.nn.stylegan2.discriminator import Convolution, Discriminator, DiscriminatorShape, deviation


def small(**knobs) -> Discriminator:
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorShape(**{"channels": (6, 5, 4), "group": 2} | knobs)).double()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("bias"):
                weight.normal_()
    return network


def smoothed(x: Tensor, padding: int) -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]).double()
    kernel = (torch.outer(taps, taps) / 64)[None, None]
    flat = functional.conv2d(x.reshape(-1, 1, *x.shape[2:]), kernel, padding=padding)
    return flat.reshape(*x.shape[:2], *flat.shape[2:])


def convolved(layer: Convolution, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    weight = layer.weight / math.sqrt(layer.weight[0].numel())
    return functional.conv2d(x, weight, layer.bias, stride=stride, padding=padding)


def leaky(x: Tensor, clamp: float | None = None, gain: float = 1.0) -> Tensor:
    y = functional.leaky_relu(x, 0.2) * math.sqrt(2) * gain
    return y if clamp is None else y.clamp(-clamp * gain, clamp * gain)


@pytest.mark.parametrize("clamp", [None, 0.7])
def test_is_the_published_network_layer_by_layer(clamp):
    network = small(clamp=clamp)
    images = torch.randn(4, 3, 16, 16).double()
    x = leaky(convolved(network.b16.fromrgb, images), clamp)
    for block in (network.b16, network.b8):
        skip = convolved(block.skip, smoothed(x, 1)[:, :, ::2, ::2]) * math.sqrt(0.5)
        y = leaky(convolved(block.conv0, x, padding=1), clamp)
        y = leaky(convolved(block.conv1, smoothed(y, 2), stride=2), clamp, math.sqrt(0.5))
        x = y + skip
    assert x.shape == (4, 6, 4, 4)
    spread = torch.empty(4).double()
    for pair in ((0, 2), (1, 3)):  # images n, n + 2 form a group
        one, other = x[pair[0]], x[pair[1]]
        half = (one - other).abs() / 2  # the deviation of two values from their mean
        spread[list(pair)] = (half.square() + 1e-8).sqrt().mean()
    x = torch.cat((x, spread.view(4, 1, 1, 1).expand(4, 1, 4, 4)), dim=1)
    x = leaky(convolved(network.b4.conv, x, padding=1), clamp).flatten(1)
    x = leaky(x @ network.b4.fc.weight.T / math.sqrt(x.shape[1]) + network.b4.fc.bias)
    wanted = x @ network.b4.out.weight.T / math.sqrt(6) + network.b4.out.bias
    torch.testing.assert_close(network.train()(images), wanted[:, 0])


def test_names_are_the_published_ones():
    names = set(small().state_dict())
    block = {
        f"{layer}.{part}" for layer in ("conv0", "conv1") for part in ("weight", "bias", "resample_filter")
    }
    block |= {"skip.weight", "skip.resample_filter"}
    last = {
        "conv.weight",
        "conv.bias",
        "conv.resample_filter",
        "fc.weight",
        "fc.bias",
        "out.weight",
        "out.bias",
    }
    published = {f"b16.fromrgb.{part}" for part in ("weight", "bias", "resample_filter")}
    published |= {f"b{side}.{name}" for side in (16, 8) for name in block} | {f"b4.{name}" for name in last}
    assert names == published | {"b4.usual"}  # the one that is ours


def test_in_eval_mode_a_score_does_not_depend_on_the_company():
    network = small().eval()
    network.b4.usual.fill_(0.3)
    images = torch.randn(4, 3, 16, 16).double()
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone)
    assert not torch.allclose(network.train()(images), alone)


def test_labels_are_compared_with_features():
    network = small(label_size=3, mapping_layers=2).eval()
    images, labels = torch.randn(3, 3, 16, 16).double(), torch.eye(3).double()
    plain = network.b4(network.features(images))
    assert plain.shape == (3, 6)
    embedded = labels @ network.mapping.embed.weight.T / math.sqrt(3) + network.mapping.embed.bias
    x = embedded / (embedded.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for layer in (network.mapping.fc0, network.mapping.fc1):
        x = leaky(x @ layer.weight.T * 0.01 / math.sqrt(6) + layer.bias * 0.01)
    torch.testing.assert_close(network(images, labels), (plain * x).sum(1) / math.sqrt(6))
    with pytest.raises(ValueError, match="labels"):
        network(images)


def test_a_batch_that_is_no_whole_number_of_groups():
    with pytest.raises(ValueError, match="multiple of the group of 4, got 6"):
        deviation(torch.zeros(6, 1, 4, 4), 4)
    assert deviation(torch.zeros(3, 1, 4, 4), 4).shape == (3,)  # smaller than a group: one group
