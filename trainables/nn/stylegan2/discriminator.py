"""The discriminator of StyleGAN2 of the "resnet" kind, in plain PyTorch, with the published weight names."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.nn.stylegan2.generator import GAIN, SLOPE, FullyConnected, normalize, resample_filter, smooth


@dataclass(frozen=True, kw_only=True)
class DiscriminatorShape:
    """Shape of a discriminator.

    channels: of the blocks from 4 x 4 pixels on, each twice as wide as the one before, up to `resolution`.
    label_size: classes of a conditional discriminator, 0 for others; mapping_layers: of its labels.
    group: how many images the batch statistic compares, 1 for none.
    clamp: bound on the outputs of all convolutions, or None.
    """

    channels: tuple[int, ...]
    label_size: int = 0
    mapping_layers: int = 8
    mapping_rate: float = 0.01
    group: int = 4
    clamp: float | None = None

    @property
    def resolution(self) -> int:
        """Return the side of the images."""
        return 2 << len(self.channels)


class Convolution(nn.Module):
    """A convolution, perhaps to half the size, and perhaps a leaky ReLU."""

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        active: bool = True,
        down: bool = False,
        gain: float = 1.0,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if active else None
        self.register_buffer("resample_filter", resample_filter())
        self.active, self.down, self.gain, self.clamp = active, down, gain, clamp

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, S, S) of `x` (n, inputs, S, S), or at half the size."""
        gain = self.gain * (GAIN if self.active else 1.0)
        weight = self.weight * (gain / math.sqrt(self.weight[0].numel()))
        bias = None if self.bias is None else self.bias * gain
        kernel = weight.shape[-1]
        if self.down and kernel == 1:
            x = functional.conv2d(smooth(x, self.resample_filter, padding=1, stride=2), weight, bias)
        elif self.down:
            x = functional.conv2d(smooth(x, self.resample_filter, padding=2), weight, bias, stride=2)
        else:
            x = functional.conv2d(x, weight, bias, padding=kernel // 2)
        if self.active:
            x = functional.leaky_relu(x, SLOPE)
        return x if self.clamp is None else x.clamp(-self.clamp * self.gain, self.clamp * self.gain)


class Halving(nn.Module):
    """A residual block from one resolution to half of it; the first also reads the image."""

    def __init__(self, inputs: int, outputs: int, *, reads: bool, clamp: float | None) -> None:
        super().__init__()
        if reads:
            self.fromrgb = Convolution(3, inputs, 1, clamp=clamp)
        half = math.sqrt(0.5)  # a sum of two keeps the variance of one
        self.conv0 = Convolution(inputs, inputs, 3, clamp=clamp)
        self.conv1 = Convolution(inputs, outputs, 3, down=True, gain=half, clamp=clamp)
        self.skip = Convolution(inputs, outputs, 1, active=False, down=True, gain=half)
        self.reads = reads

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, S/2, S/2) of `x`, an image (n, 3, S, S) or features (n, inputs, S, S)."""
        if self.reads:
            x = self.fromrgb(x)
        y: Tensor = self.conv1(self.conv0(x)) + self.skip(x)
        return y


def deviation(x: Tensor, group: int) -> Tensor:
    """Return how much the images of each group differ: mean over features of their deviation, (n,).

    x: (n, C, S, S). Images n, n + M, n + 2 M, … form a group, M = n / group; the batch is one group if it is
    smaller. (Karras et al., ICLR 2018, section 3.)
    """
    size = min(group, len(x))
    if len(x) % size:
        raise ValueError(f"expected a batch that is a multiple of the group of {size}, got {len(x)} images")
    grouped = x.reshape(size, -1, *x.shape[1:])
    spread = (grouped - grouped.mean(0)).square().mean(0).add(1e-8).sqrt().mean((1, 2, 3))
    repeated: Tensor = spread.repeat(size)
    return repeated


class End(nn.Module):
    """The last block, 4 x 4 pixels to a score. In eval mode no image's score depends on those beside it.

    usual: the batch statistic that eval mode puts in the place of the batch's own. No published checkpoint
    has it: whoever trains or loads a discriminator measures it.
    """

    usual: Tensor

    def __init__(self, channels: int, outputs: int, group: int, clamp: float | None) -> None:
        super().__init__()
        self.group = group
        self.register_buffer("usual", torch.zeros([]))
        self.conv = Convolution(channels + (group > 1), channels, 3, clamp=clamp)
        self.fc = FullyConnected(channels * 16, channels, active=True)
        self.out = FullyConnected(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs) of features (n, channels, 4, 4)."""
        if self.group > 1:
            statistic = deviation(x, self.group) if self.training else self.usual.expand(len(x))
            x = torch.cat((x, statistic.view(-1, 1, 1, 1).expand(-1, 1, 4, 4)), dim=1)
        scores: Tensor = self.out(self.fc(self.conv(x).flatten(1)))
        return scores


class Labels(nn.Module):
    """Labels of a conditional discriminator, one-hot (n, label_size), to (n, size)."""

    def __init__(self, shape: DiscriminatorShape, size: int) -> None:
        super().__init__()
        self.embed = FullyConnected(shape.label_size, size)
        self.depth = shape.mapping_layers
        for number in range(self.depth):
            self.add_module(f"fc{number}", FullyConnected(size, size, active=True, rate=shape.mapping_rate))

    def forward(self, labels: Tensor) -> Tensor:
        """Return what the image's features are compared with."""
        x = normalize(self.embed(labels))
        for number in range(self.depth):
            x = self.get_submodule(f"fc{number}")(x)
        return x


class Discriminator(nn.Module):
    """Images (n, 3, S, S) in [-1, 1] to scores (n,), unbounded, higher is more real."""

    def __init__(self, shape: DiscriminatorShape) -> None:
        super().__init__()
        self.shape = shape
        channels = shape.channels
        self.resolutions = [4 * 2**number for number in range(len(channels) - 1, 0, -1)]
        for number, resolution in zip(range(len(channels) - 1, 0, -1), self.resolutions, strict=True):
            reads = number == len(channels) - 1
            block = Halving(channels[number], channels[number - 1], reads=reads, clamp=shape.clamp)
            self.add_module(f"b{resolution}", block)
        width = channels[0] if shape.label_size else 1
        self.b4 = End(channels[0], width, shape.group, shape.clamp)
        if shape.label_size:
            self.mapping = Labels(shape, width)

    def features(self, images: Tensor) -> Tensor:
        """Return (n, C, 4, 4), what the last block sees."""
        x = images
        for resolution in self.resolutions:
            x = self.get_submodule(f"b{resolution}")(x)
        return x

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return scores; labels: one-hot (n, label_size) for a conditional discriminator."""
        scores: Tensor = self.b4(self.features(images))
        if self.shape.label_size:
            if labels is None:
                raise ValueError("a conditional discriminator expects labels (n, label_size), got None")
            scores = (scores * self.mapping(labels)).sum(1, keepdim=True) / math.sqrt(scores.shape[1])
        return scores[:, 0]
