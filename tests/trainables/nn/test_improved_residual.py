"""The unit of the face networks, computed by hand."""

import pytest
import torch
from torch.nn import functional

from trainables.nn.improved_residual import ImprovedResidual, input_layer, output_layer, xavier


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(4, 4, 1), (4, 4, 2), (4, 6, 2)])
def test_a_unit_adds_its_path_and_its_shortcut(inputs, outputs, stride):
    unit, x = ImprovedResidual(inputs, outputs, stride).eval(), torch.randn(2, inputs, 7, 7)
    norm, first, prelu, second, last = unit.path
    with torch.no_grad():
        y = functional.conv2d(x / (1 + norm.eps) ** 0.5, first.weight, padding=1)
        y = torch.where(y > 0, y, prelu.weight.view(-1, 1, 1) * y)
        y = functional.conv2d(y, second.weight, stride=stride, padding=1) / (1 + last.eps) ** 0.5
        short = x[:, :, ::stride, ::stride]
        if inputs != outputs:
            short = functional.conv2d(short, unit.shortcut[0].weight) / (1 + last.eps) ** 0.5
        assert torch.allclose(unit(x), y + short, atol=1e-5)


def test_first_and_last_layer():
    assert input_layer(8)(torch.rand(2, 3, 9, 9)).shape == (2, 8, 9, 9)
    last = output_layer(8, 3, 5).eval()
    assert last(torch.rand(2, 8, 3, 3)).shape == (2, 5)
    x = torch.rand(2, 8, 3, 3)
    assert not torch.equal(last.train()(x), last(x))  # dropout


def test_weights_start_xavier_uniform():
    unit = ImprovedResidual(16, 32, 2)
    xavier(unit)
    bound = (6 / (9 * 16 + 9 * 32)) ** 0.5
    largest = unit.path[1].weight.abs().max().item()
    assert 0.95 * bound < largest <= bound
