"""StyleGAN2's generator against the published code's trace and against a slow one written out here."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.nn.inference import inference_copy
from trainables.nn.stylegan2.generator import (
    FullyConnected,
    Generator,
    GeneratorShape,
    StyledConvolution,
    enlarge,
    smooth,
)

GOLDEN = Path(__file__).parents[3] / "golden" / "13_stylegan2_a.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def recorded(golden) -> Generator:
    names = golden["state_names"].tolist()
    state = {name: torch.as_tensor(golden["state__" + name.replace(".", "__")]) for name in names}
    clamp = float(golden["conv_clamp"])
    generator = Generator(
        GeneratorShape(
            latent_size=int(golden["z_dim"]),
            label_size=int(golden["c_dim"]),
            style_size=int(golden["w_dim"]),
            channels=tuple(
                min(int(golden["channel_base"]) // side, int(golden["channel_max"])) for side in (4, 8, 16)
            ),
            mapping_layers=int(golden["mapping_layers"]),
            clamp=None if clamp < 0 else clamp,
        )
    )
    assert generator.shape.resolution == int(golden["img_resolution"])
    assert generator.shape.layers == int(golden["num_ws"])
    generator.load_state_dict(state)  # the names are the published ones
    return generator.eval()


def near(found: Tensor, wanted: np.ndarray) -> None:
    expected = torch.as_tensor(wanted)
    torch.testing.assert_close(found, expected, atol=1e-4 * max(1, expected.abs().max().item()), rtol=0)


@pytest.mark.parametrize(
    ("name", "psi", "cutoff"), [("psi1", 1, None), ("psi07", 0.7, None), ("psi05_cutoff2", 0.5, 2)]
)
@pytest.mark.parametrize("device_layout", [torch.contiguous_format, torch.channels_last])
def test_follows_the_published_networks(golden, recorded, name, psi, cutoff, device_layout):
    generator = recorded.to(memory_format=device_layout)
    with torch.no_grad():
        styles = generator.truncate(generator.mapping(torch.as_tensor(golden["z"])), psi, cutoff)
        near(styles, golden[f"w_{name}"])
        near(generator.synthesis(styles, "const"), golden[f"img_const_{name}"])
        near(generator.synthesis(styles, "none"), golden[f"img_none_{name}"])
        whole = generator(torch.as_tensor(golden["z"]), psi=psi, cutoff=cutoff)
        near(whole, golden[f"img_const_{name}"])


def test_follows_the_published_gradients(golden, recorded):
    cotangent = torch.as_tensor(golden["grad_w_cotangent"])
    styles = torch.as_tensor(golden["w_psi07"])
    for start, wanted in ((styles, "grad_w_psi07"), (styles[:, 0], "grad_single_w_psi07")):
        start = start.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad((recorded.synthesis(start) * cotangent).sum(), start)
        near(gradient.reshape(golden[wanted].shape), golden[wanted])


def zero_stuffed(x: Tensor) -> Tensor:
    """Images with a zero after every pixel, rows and columns."""
    wide = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3], dtype=x.dtype)
    wide[:, :, ::2, ::2] = x
    return wide


def convolved(x: Tensor, kernel: Tensor, before: int, after: int) -> Tensor:
    """True convolution of padded images, pixel by pixel; kernel: (outputs, inputs, k, k)."""
    x = functional.pad(x, (before, after, before, after))
    size, turned = x.shape[-1] - kernel.shape[-1] + 1, kernel.flip((2, 3))
    pixels = [
        torch.einsum("nchw,ochw->no", x[:, :, i : i + kernel.shape[2], j : j + kernel.shape[3]], turned)
        for i in range(size)
        for j in range(size)
    ]
    return torch.stack(pixels, dim=-1).unflatten(2, (size, size))


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_a_styled_convolution_is_a_kernel_of_its_own_for_each_image(up, clamp):
    torch.manual_seed(0)
    shape = GeneratorShape(style_size=5, channels=(4, 3), clamp=clamp)
    layer = StyledConvolution(4, 3, 8, shape, up=up).double()
    with torch.no_grad():
        layer.noise_strength.fill_(0.3)
        layer.bias.normal_()
    x, style = torch.randn(2, 4, 4 if up else 8, 4 if up else 8).double(), torch.randn(2, 5).double()
    scale = style @ layer.affine.weight.T / math.sqrt(5) + layer.affine.bias
    rows = []
    for image, own in zip(x, scale, strict=True):
        kernel = layer.weight * own[None, :, None, None]
        kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:  # zeros between pixels, the kernel, then the smoothing filter
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0]).double()
            taps = 4 * torch.outer(taps, taps) / 64
            y = convolved(zero_stuffed(image[None]), kernel, 2, 1)
            y = convolved(y.transpose(0, 1), taps[None, None], 1, 1).transpose(0, 1)
        else:
            y = convolved(image[None], kernel.flip((2, 3)), 1, 1)
        rows.append(y + 0.3 * layer.noise_const + layer.bias[None, :, None, None])
    wanted = functional.leaky_relu(torch.cat(rows), 0.2) * math.sqrt(2)
    wanted = wanted if clamp is None else wanted.clamp(-clamp, clamp)
    torch.testing.assert_close(layer(x, style, "const"), wanted)


def test_enlarging_is_smoothed_zero_stuffing_for_any_filter():
    torch.manual_seed(0)
    x, taps = torch.randn(2, 3, 4, 4).double(), torch.rand(4, 4).double()
    wanted = convolved(zero_stuffed(x).reshape(6, 1, 8, 8), 4 * taps[None, None], 2, 1).reshape(2, 3, 8, 8)
    torch.testing.assert_close(enlarge(x, taps), wanted)
    wanted = convolved(x.reshape(6, 1, 4, 4), taps[None, None], 1, 1)[..., ::2, ::2].reshape(2, 3, 2, 2)
    torch.testing.assert_close(smooth(x, taps, padding=1, stride=2), wanted)


def test_a_fully_connected_layer_scales_where_it_is_used():
    torch.manual_seed(0)
    layer = FullyConnected(6, 4, active=True, rate=0.01, bias=3.0)
    x = torch.randn(5, 6)
    assert layer.weight.std() > 10  # unit variance over the rate
    wanted = functional.leaky_relu(x @ layer.weight.T * 0.01 / math.sqrt(6) + 0.03, 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x), wanted)


def conditional() -> Generator:
    torch.manual_seed(0)
    shape = GeneratorShape(latent_size=6, label_size=3, style_size=5, channels=(4, 4, 4), mapping_layers=3)
    return Generator(shape).eval()


def test_a_conditional_mapping_joins_latent_and_label():
    generator = conditional()
    z, labels = torch.randn(4, 6), torch.eye(3)[[0, 1, 2, 0]]

    def unit(x: Tensor) -> Tensor:
        return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()

    mapping = generator.mapping
    embedded = labels @ mapping.embed.weight.T / math.sqrt(3) + mapping.embed.bias
    x = torch.cat((unit(z), unit(embedded)), dim=1)
    for layer in (mapping.fc0, mapping.fc1, mapping.fc2):
        x = functional.leaky_relu(x @ layer.weight.T * 0.01 / math.sqrt(x.shape[1]), 0.2) * math.sqrt(2)
    torch.testing.assert_close(mapping(z, labels), x)
    assert generator(z, labels).shape == (4, 3, 16, 16)
    with pytest.raises(ValueError, match="labels"):
        generator(z)


def test_random_noise_is_fresh_and_const_noise_is_not():
    generator = conditional()
    with torch.no_grad():
        generator.synthesis.b8.conv1.noise_strength.fill_(1.0)
    styles = torch.randn(2, 5)
    const, again = (generator.synthesis(styles) for _ in range(2))
    assert torch.equal(const, again)
    first, second = (generator.synthesis(styles, "random") for _ in range(2))
    assert not torch.equal(first, second) and not torch.equal(first, const)


def test_one_style_is_shared_by_all_layers():
    generator = conditional()
    style = torch.randn(3, 5)
    layers = style[:, None].repeat(1, generator.shape.layers, 1)
    torch.testing.assert_close(generator.synthesis(style), generator.synthesis(layers))
    with pytest.raises(ValueError, match=f"styles \\(n, {generator.shape.layers}, W\\)"):
        generator.synthesis(layers[:, 1:])


def test_truncation_draws_the_first_layers_to_the_mean():
    generator = conditional()
    generator.mapping.w_avg.copy_(torch.arange(5.0))
    style = torch.randn(3, 5)
    found = generator.truncate(style, 0.25, 2)
    near_mean = torch.arange(5.0) + 0.25 * (style - torch.arange(5.0))
    torch.testing.assert_close(found[:, :2], near_mean[:, None].expand(-1, 2, -1))
    assert torch.equal(found[:, 2:], style[:, None].expand(-1, found.shape[1] - 2, -1))


def test_a_lean_copy_gives_the_same_images():
    generator = conditional()
    style = torch.randn(3, 5)
    torch.testing.assert_close(inference_copy(generator, "cpu").synthesis(style), generator.synthesis(style))


@pytest.mark.parametrize("cut", [1, 2])
def test_two_halves_are_the_whole(cut):
    """Features and picture of the first blocks, put into the rest, give the image and its gradient."""
    generator = conditional()
    with torch.no_grad():
        for number in (4, 8, 16):
            generator.synthesis.get_submodule(f"b{number}").conv1.noise_strength.fill_(0.5)
    style = torch.randn(3, generator.shape.layers, 5, requires_grad=True)
    whole = generator.synthesis(style)
    features, picture = generator.synthesis.part(style, 0, cut, None, None)
    side = 2 * 2**cut
    assert features.shape == (3, 4, side, side) and picture.shape == (3, 3, side, side)
    halves = generator.synthesis(style, begin=cut, features=features, picture=picture)
    assert torch.equal(halves, whole)
    cotangent = torch.randn_like(whole)
    slopes = [torch.autograd.grad((images * cotangent).sum(), style)[0] for images in (whole, halves)]
    torch.testing.assert_close(*slopes)
    shared = style[:, 0].detach()
    torch.testing.assert_close(
        generator.synthesis(shared, begin=cut, features=features, picture=picture),
        generator.synthesis(shared[:, None].repeat(1, 6, 1), begin=cut, features=features, picture=picture),
    )


def test_without_a_picture_the_first_blocks_add_no_colours():
    generator = conditional()
    style = torch.randn(3, generator.shape.layers, 5)
    features, picture = generator.synthesis.part(style, 0, 2, None, None)
    whole = generator.synthesis(style)
    without = generator.synthesis(style, begin=2, features=features)
    added = enlarge(picture, generator.synthesis.b16.resample_filter)
    torch.testing.assert_close(without + added, whole)


def test_an_inner_block_wants_features():
    synthesis, style = conditional().synthesis, torch.randn(2, 5)
    with pytest.raises(ValueError, match="blocks 1 to 3 without features"):
        synthesis(style, begin=1)
    with pytest.raises(ValueError, match="blocks 0 to 3 with features"):
        synthesis(style, features=torch.randn(2, 4, 4, 4))
    with pytest.raises(ValueError, match="blocks 3 to 3"):
        synthesis(style, begin=3, features=torch.randn(2, 4, 16, 16))
