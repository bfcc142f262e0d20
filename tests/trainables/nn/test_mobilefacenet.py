"""MobileFaceNet against the paper's table: sizes after each part, and parameters counted by hand."""

import pytest
import torch

from trainables.nn.mobilefacenet import Bottleneck, MobileFaceNet

# Chen et al. 2018, table 1: expansion, channels and stride of every bottleneck
TABLE = [
    *[(2, 64, 2), *[(2, 64, 1)] * 4],
    (4, 128, 2),
    *[(2, 128, 1)] * 6,
    (4, 128, 2),
    *[(2, 128, 1)] * 2,
]


def unit(inputs: int, outputs: int, area: int, groups: int = 1, prelu: bool = True) -> int:
    """Return the weights of a convolution without bias, its batch norm and its PReLU."""
    return inputs // groups * outputs * area + 2 * outputs + (outputs if prelu else 0)


def test_a_million_parameters_as_in_the_table():
    expected = unit(3, 64, 9) + unit(64, 64, 9, groups=64)
    channels = 64
    for expansion, outputs, _ in TABLE:
        wide = expansion * channels
        expected += unit(channels, wide, 1) + unit(wide, wide, 9, groups=wide)
        expected += unit(wide, outputs, 1, prelu=False)
        channels = outputs
    expected += unit(128, 512, 1) + unit(512, 512, 7 * 6, groups=512, prelu=False)
    expected += unit(512, 128, 1, prelu=False)
    with torch.device("meta"):
        found = sum(weight.numel() for weight in MobileFaceNet().parameters())
    assert found == expected
    assert found == pytest.approx(1.0e6, rel=0.05)


def test_sizes_halve_four_times_down_to_7_x_6():
    with torch.device("meta"):
        network, x = MobileFaceNet().eval(), torch.empty(2, 3, 112, 96)
        x = network.dw_conv1(network.conv1(x))
        assert x.shape == (2, 64, 56, 48)
        for block, (_, channels, stride) in zip(network.blocks, TABLE, strict=True):
            size = [length // stride for length in x.shape[2:]]
            x = block(x)
            assert x.shape == (2, channels, *size)
        assert x.shape == (2, 128, 7, 6)
        assert network(torch.empty(2, 3, 112, 96)).shape == (2, 128)


@pytest.mark.parametrize(
    ("inputs", "outputs", "stride", "residual"), [(8, 8, 1, True), (8, 8, 2, False), (8, 4, 1, False)]
)
def test_a_bottleneck_adds_its_input_where_it_fits(inputs, outputs, stride, residual):
    torch.manual_seed(0)
    block = Bottleneck(inputs, outputs, stride, 2).eval()
    for weight in block.parameters():
        torch.nn.init.zeros_(weight)
    x = torch.rand(1, inputs, 6, 6)
    with torch.no_grad():
        y = block(x)
    assert y.shape == (1, outputs, 6 // stride, 6 // stride)
    assert torch.equal(y, x) if residual else not y.any()


def test_a_face_is_embedded_the_same_in_any_company():
    torch.manual_seed(0)
    network = MobileFaceNet().eval()
    faces = torch.rand(3, 3, 112, 96) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(network(faces)[1:2], network(faces[1:2]), atol=1e-4, rtol=1e-4)


def test_a_face_that_is_too_small_is_refused():
    with pytest.raises(RuntimeError, match="Kernel size"), torch.no_grad():
        MobileFaceNet().eval()(torch.zeros(1, 3, 64, 64))
