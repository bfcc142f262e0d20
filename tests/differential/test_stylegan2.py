"""StyleGAN2's layers against the published formulas, with a clamp that bites and rates that are not 1."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from trainables.nn.stylegan2.discriminator import Discriminator, DiscriminatorShape
from trainables.nn.stylegan2.generator import Generator, GeneratorShape


def leaky(x):
    return np.where(x < 0, 0.2 * x, x) * math.sqrt(2)


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_mapping_rate(rate):
    """Weights start divided by the rate, and are multiplied where they are used; biases the latter alone."""
    torch.manual_seed(0)
    shape = GeneratorShape(latent_size=5, style_size=4, channels=(2, 2), mapping_layers=3, mapping_rate=rate)
    mapping = Generator(shape).double().mapping
    weights = [w.detach().numpy().copy() for w in mapping.parameters()]
    assert np.std(weights[0]) * rate == pytest.approx(1, abs=0.5)
    with torch.no_grad():
        for number, bias in enumerate(weights[1::2]):
            bias += number - 0.5
            mapping.get_submodule(f"fc{number}").bias.copy_(torch.from_numpy(bias))
    z = np.random.default_rng(0).normal(size=(3, 5))
    x = z / np.sqrt((z**2).mean(1, keepdims=True) + 1e-8)
    for weight, bias in zip(weights[::2], weights[1::2], strict=True):
        x = leaky(x @ weight.T * rate / math.sqrt(weight.shape[1]) + bias * rate)
    with torch.no_grad():
        found = mapping(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(found, x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("clamp", [0.5, None])
def test_synthesis(clamp):
    """Modulated and demodulated kernels image by image, a leaky ReLU, the clamp after it."""
    torch.manual_seed(0)
    shape = GeneratorShape(latent_size=5, style_size=4, channels=(3, 2), clamp=clamp, noise=False)
    synthesis = Generator(shape).double().synthesis
    with torch.no_grad():
        for name, bias in synthesis.named_parameters():
            if name.endswith("bias"):
                bias.add_(0.3 * torch.randn_like(bias))
    styles = torch.randn(2, 4, 4, dtype=torch.float64)
    bound = math.inf if clamp is None else clamp
    tap = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64)
    filter_ = torch.outer(tap, tap) / 64

    def doubled(x, gain):
        """Zeros between the pixels, then the filter."""
        wide = torch.zeros(*x.shape[:-2], 2 * x.shape[-2], 2 * x.shape[-1], dtype=x.dtype)
        wide[..., ::2, ::2] = x
        padded = functional.pad(wide, (2, 1, 2, 1))
        kernel = filter_.flip((0, 1)).expand(x.shape[1], 1, 4, 4) * gain
        return functional.conv2d(padded, kernel, groups=x.shape[1])

    def affine(layer, style):
        return style @ layer.affine.weight.T / math.sqrt(4) + layer.affine.bias

    def convolved(layer, x, style, up):
        outputs = []
        for image, scale in zip(x, affine(layer, style), strict=True):
            kernel = layer.weight * scale[None, :, None, None]
            kernel = kernel * torch.rsqrt((kernel**2).sum((1, 2, 3), keepdim=True) + 1e-8)
            if up:
                image = functional.conv_transpose2d(image[None], kernel.transpose(0, 1), stride=2)
                image = functional.conv2d(
                    functional.pad(image, (1, 1, 1, 1)),
                    (filter_ * 4).expand(image.shape[1], 1, 4, 4),
                    groups=image.shape[1],
                )
            else:
                image = functional.conv2d(image[None], kernel, padding=1)
            outputs.append(image)
        y = torch.cat(outputs) + layer.bias[None, :, None, None]
        return (functional.leaky_relu(y, 0.2) * math.sqrt(2)).clamp(-bound, bound)

    def coloured(layer, x, style):
        scale = affine(layer, style) / math.sqrt(layer.weight.shape[1])
        y = torch.einsum("nchw,oc,nc->nohw", x, layer.weight[:, :, 0, 0], scale)
        return (y + layer.bias[None, :, None, None]).clamp(-bound, bound)

    with torch.no_grad():
        first, second = synthesis.b4, synthesis.b8
        x = first.const.expand(2, -1, -1, -1)
        x = convolved(first.conv1, x, styles[:, 0], up=False)
        picture = coloured(first.torgb, x, styles[:, 1])
        x = convolved(second.conv0, x, styles[:, 1], up=True)
        x = convolved(second.conv1, x, styles[:, 2], up=False)
        expected = doubled(picture, 4) + coloured(second.torgb, x, styles[:, 3])
        found = synthesis(styles)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    if clamp is not None:
        assert (x.abs() == clamp).any() and (x.abs() < clamp).any()


def test_the_clamp_reaches_the_discriminator():
    torch.manual_seed(0)
    free, bound = (
        Discriminator(DiscriminatorShape(channels=(3, 2), clamp=clamp)).eval() for clamp in (None, 0.5)
    )
    bound.load_state_dict(free.state_dict())
    images = 5 * torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        assert not torch.allclose(free(images), bound(images))
