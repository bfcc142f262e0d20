"""The generator of StyleGAN2, in plain PyTorch, with the weight names of the published networks.

Karras et al., CVPR 2020 (StyleGAN2), NeurIPS 2020 (StyleGAN2-ADA). Generators of the "skip" kind, as all
published ones of these papers are: every block adds to the picture of the blocks before it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Noise = Literal["const", "none", "random"]
SLOPE = 0.2  # of the leaky ReLUs
GAIN = math.sqrt(2)  # keeps the variance of what a leaky ReLU gets


@dataclass(frozen=True, kw_only=True)
class GeneratorShape:
    """Shape of a generator.

    channels: of the blocks from 4 x 4 pixels on, each twice as wide as the one before, up to `resolution`.
    label_size: classes of a conditional generator, 0 for others.
    mapping_rate: learning rate of the mapping network, relative to the rest.
    clamp: bound on the outputs of all convolutions, or None.
    noise: whether every layer has a noise image.
    """

    latent_size: int = 512
    label_size: int = 0
    style_size: int = 512
    channels: tuple[int, ...]
    mapping_layers: int = 8
    mapping_rate: float = 0.01
    clamp: float | None = None
    noise: bool = True

    @property
    def resolution(self) -> int:
        """Return the side of the images."""
        return 2 << len(self.channels)

    @property
    def layers(self) -> int:
        """Return how many styles one image takes: one per convolution, and one for the last colours."""
        return 2 * len(self.channels)


class FullyConnected(nn.Module):
    """A linear layer whose weights are kept at unit variance and scaled where they are used.

    rate: learning rate relative to other layers.  active: followed by a leaky ReLU or not.
    """

    def __init__(
        self, inputs: int, outputs: int, *, active: bool = False, rate: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.active, self.rate = active, rate

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs) of `x` (n, inputs)."""
        gain = GAIN if self.active else 1.0  # a leaky ReLU passes factors on
        scale = gain * self.rate / math.sqrt(self.weight.shape[1])
        y = torch.addmm(self.bias * (gain * self.rate), x, self.weight.T, alpha=scale)
        return functional.leaky_relu(y, SLOPE) if self.active else y


def resample_filter() -> Tensor:
    """Return the filter that images are smoothed with when their size changes, (4, 4), of sum 1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / taps.sum().square()


def smooth(x: Tensor, taps: Tensor, padding: int, *, stride: int = 1, gain: float = 1.0) -> Tensor:
    """Return images (n, C, H, W) convolved with `taps` (4, 4), channel by channel; zeros around them."""
    kernel = (taps.flip((0, 1)) * gain).expand(x.shape[1], 1, *taps.shape)
    return functional.conv2d(x, kernel, stride=stride, padding=padding, groups=x.shape[1])


def enlarge(x: Tensor, taps: Tensor) -> Tensor:
    """Return images (n, C, S, S) at twice the size: zeros between the pixels, smoothed with `taps`."""
    kernel = (taps * 4).expand(x.shape[1], 1, *taps.shape)
    return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def normalize(x: Tensor) -> Tensor:
    """Return rows of mean square 1; the pixel norm of the mapping network."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class Mapping(nn.Module):
    """Latents (n, latent_size), and labels of a conditional network, to styles (n, style_size)."""

    w_avg: Tensor

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        inputs, style = shape.latent_size, shape.style_size
        self.conditional = shape.label_size > 0
        if self.conditional:
            self.embed = FullyConnected(shape.label_size, style)
            inputs += style
        self.depth = shape.mapping_layers
        for number in range(self.depth):
            layer = FullyConnected(style if number else inputs, style, active=True, rate=shape.mapping_rate)
            self.add_module(f"fc{number}", layer)
        self.register_buffer("w_avg", torch.zeros(style))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return styles; labels: one-hot (n, label_size) for a conditional network."""
        x = normalize(z)
        if self.conditional:
            if labels is None:
                raise ValueError("a conditional generator expects labels (n, label_size), got None")
            x = torch.cat((x, normalize(self.embed(labels))), dim=1)
        for number in range(self.depth):
            x = self.get_submodule(f"fc{number}")(x)
        return x


class StyledConvolution(nn.Module):
    """A 3x3 convolution that a style modulates (StyleGAN2, eq. 1 and 3), noise, a leaky ReLU.

    The style scales the channels that come in, and the demodulation those that go out, so that one
    convolution serves the whole batch: the same numbers as a kernel for each image, for less work.
    """

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(
        self, inputs: int, outputs: int, resolution: int, shape: GeneratorShape, *, up: bool
    ) -> None:
        super().__init__()
        self.affine = FullyConnected(shape.style_size, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("resample_filter", resample_filter())
        self.noisy = shape.noise
        if self.noisy:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self.up, self.clamp = up, shape.clamp

    def forward(self, x: Tensor, style: Tensor, noise: Noise) -> Tensor:
        """Return (n, outputs, S, S) of `x` (n, inputs, s, s), S = 2 s if the layer enlarges; style (n, W)."""
        scale = self.affine(style)
        strength = self.weight.square().sum((2, 3))
        demodulation = torch.rsqrt(scale.square() @ strength.T + 1e-8) * GAIN
        x = x * scale[:, :, None, None]
        if self.up:
            x = functional.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = smooth(x, self.resample_filter, padding=1, gain=4.0)
        else:
            x = functional.conv2d(x, self.weight, padding=1)
        offset = (self.bias * GAIN)[None, :, None, None]
        if self.noisy and noise != "none":
            drawn = self.noise_const if noise == "const" else torch.randn_like(x[:, :1])
            offset = offset + drawn * (self.noise_strength * GAIN)
        x = functional.leaky_relu(torch.addcmul(offset, x, demodulation[:, :, None, None]), SLOPE)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class Colours(nn.Module):
    """A modulated 1x1 convolution to red, green and blue."""

    def __init__(self, inputs: int, shape: GeneratorShape) -> None:
        super().__init__()
        self.affine = FullyConnected(shape.style_size, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.clamp = shape.clamp

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return (n, 3, S, S) of `x` (n, inputs, S, S); style (n, W)."""
        scale = self.affine(style) / math.sqrt(self.weight.shape[1])
        x = functional.conv2d(x * scale[:, :, None, None], self.weight, self.bias)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class Block(nn.Module):
    """One resolution: enlarge, convolve twice, add to the picture. The first starts from a constant."""

    resample_filter: Tensor

    def __init__(self, inputs: int, outputs: int, resolution: int, shape: GeneratorShape) -> None:
        super().__init__()
        self.register_buffer("resample_filter", resample_filter())
        self.first = inputs == 0
        if self.first:
            self.const = nn.Parameter(torch.randn(outputs, resolution, resolution))
        else:
            self.conv0 = StyledConvolution(inputs, outputs, resolution, shape, up=True)
        self.conv1 = StyledConvolution(outputs, outputs, resolution, shape, up=False)
        self.torgb = Colours(outputs, shape)

    def forward(
        self, x: Tensor | None, picture: Tensor | None, styles: Iterator[Tensor], colour: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Return features and picture; takes as many `styles` (n, W) as it has 3x3 convolutions."""
        if x is None:
            x = self.const.expand(len(colour), *self.const.shape)
            if self.conv1.weight.is_contiguous(memory_format=torch.channels_last):
                x = x.contiguous(memory_format=torch.channels_last)  # so laid out, it stays so to the end
        else:
            x = self.conv0(x, next(styles), noise)
        features: Tensor = self.conv1(x, next(styles), noise)
        added: Tensor = self.torgb(features, colour)
        return features, added if picture is None else enlarge(picture, self.resample_filter) + added


class Synthesis(nn.Module):
    """Styles to images of about [-1, 1], not clipped."""

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.layers, self.depth = shape.layers, len(shape.channels)
        for number, outputs in enumerate(shape.channels):
            inputs = shape.channels[number - 1] if number else 0
            resolution = 4 * 2**number
            self.add_module(f"b{resolution}", Block(inputs, outputs, resolution, shape))

    def forward(
        self,
        styles: Tensor,
        noise: Noise = "const",
        *,
        begin: int = 0,
        features: Tensor | None = None,
        picture: Tensor | None = None,
    ) -> Tensor:
        """Return images (n, 3, S, S); styles: (n, layers, W), or (n, W) for one that all layers share.

        begin, features, picture: the block to start with, and what `part` returned for those before it.
        """
        _, images = self.part(styles, begin, self.depth, features, picture, noise)
        return images

    def part(
        self,
        styles: Tensor,
        begin: int,
        end: int,
        features: Tensor | None,
        picture: Tensor | None,
        noise: Noise = "const",
    ) -> tuple[Tensor, Tensor]:
        """Return features (n, C, s, s) and the picture (n, 3, s, s) after blocks `begin` to `end - 1`.

        styles: as in `forward`, of all layers. features, picture: those after block `begin - 1`; no features
        for block 0, and no picture to leave out what the blocks before would have added to it.
        """
        if styles.ndim == 2:
            styles = styles.unsqueeze(1).expand(-1, self.layers, -1)
        if styles.shape[1] != self.layers:
            raise ValueError(f"expected styles (n, {self.layers}, W), got {tuple(styles.shape)}")
        if not 0 <= begin < end <= self.depth or (features is None) != (begin == 0):
            raise ValueError(
                f"expected 0 <= begin < end <= {self.depth}, and features from block 1 on; got blocks "
                f"{begin} to {end} {'without' if features is None else 'with'} features"
            )
        each = styles.unbind(1)
        used = max(0, 2 * begin - 1)
        for number in range(begin, end):
            block = self.get_submodule(f"b{4 * 2**number}")
            convolutions = 2 if number else 1
            # a block's colours take the style of the next block's first convolution
            colour = each[used + convolutions]
            features, picture = block(
                features, picture, iter(each[used : used + convolutions]), colour, noise
            )
            used += convolutions
        assert features is not None and picture is not None
        return features, picture


class Generator(nn.Module):
    """Latents to styles (`mapping`), styles to images (`synthesis`)."""

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.shape = shape
        self.mapping = Mapping(shape)
        self.synthesis = Synthesis(shape)

    def truncate(self, style: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Return styles for all layers (n, layers, W) of one style (n, W).

        The first `cutoff` layers (None: all) are drawn to the mean style: mean + psi (style - mean).
        """
        styles = style.unsqueeze(1).repeat(1, self.synthesis.layers, 1)
        if psi != 1:
            styles[:, :cutoff] = torch.lerp(self.mapping.w_avg, styles[:, :cutoff], psi)
        return styles

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: Noise = "const",
    ) -> Tensor:
        """Return images (n, 3, S, S) of about [-1, 1] of latents (n, latent_size)."""
        images: Tensor = self.synthesis(self.truncate(self.mapping(z, labels), psi, cutoff), noise)
        return images
