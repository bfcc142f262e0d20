"""MobileFaceNet, an embedder of faces: a judge, and the body of a target."""

from collections import OrderedDict

from torch import Tensor, nn

# expansion, channels, repeats, stride of the first; Chen et al. 2018, table 1
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
HEIGHT, WIDTH = 112, 96  # the depthwise layer at the end covers exactly 7 x 6


def _unit(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    linear: bool = False,
) -> nn.Sequential:
    layers: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)),
        ("bn", nn.BatchNorm2d(outputs)),
    ]
    if not linear:
        layers.append(("prelu", nn.PReLU(outputs)))
    return nn.Sequential(OrderedDict(layers))


class Bottleneck(nn.Module):
    """1x1 convolution to `expansion` times the channels, depthwise 3x3, linear 1x1; residual if it fits."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *_unit(inputs, wide, 1),
            *_unit(wide, wide, 3, stride, 1, groups=wide),
            *_unit(wide, outputs, 1, linear=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride) for (N, inputs, H, W)."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileFaceNet(nn.Module):
    """Faces (N, 3, 112, 96), RGB, (pixel - 127.5) / 128, to embeddings (N, 128), not normalised.

    Chen et al. 2018, "MobileFaceNets"; module names as in widely shared PyTorch checkpoints.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _unit(3, 64, 3, 2, 1)
        self.dw_conv1 = _unit(64, 64, 3, 1, 1, groups=64)
        blocks: list[nn.Module] = []
        channels = 64
        for expansion, outputs, repeats, first_stride in BOTTLENECKS:
            for number in range(repeats):
                stride = first_stride if number == 0 else 1
                blocks.append(Bottleneck(channels, outputs, stride, expansion))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = _unit(channels, 512, 1)
        self.linear7 = _unit(512, 512, (HEIGHT // 16, WIDTH // 16), groups=512, linear=True)
        self.linear1 = _unit(512, 128, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return embeddings (N, 128) of faces (N, 3, 112, 96)."""
        x = self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))
        embeddings: Tensor = self.linear1(self.linear7(x)).flatten(1)
        return embeddings
