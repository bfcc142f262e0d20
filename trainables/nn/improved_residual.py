"""Improved residual (IR) units of face recognition: ArcFace's network, as the 64-pixel targets use it."""

from torch import Tensor, nn


class ImprovedResidual(nn.Module):
    """Batch norm, 3x3 convolution, PReLU, 3x3 convolution with the stride, batch norm; plus a shortcut.

    (N, inputs, S, S) -> (N, outputs, ⌈S / stride⌉, ⌈S / stride⌉). The shortcut takes every `stride`-th pixel;
    where the width changes it is a 1x1 convolution with batch norm. Nothing follows the sum.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut: nn.Module = nn.MaxPool2d(1, stride)
        if inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.path = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return path(x) + shortcut(x)."""
        y: Tensor = self.path(x) + self.shortcut(x)
        return y


def input_layer(width: int = 64) -> nn.Sequential:
    """Return the first layer: 3x3 convolution, batch norm, PReLU; (N, 3, S, S) -> (N, width, S, S)."""
    return nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width))


def output_layer(channels: int, side: int, feature: int = 512) -> nn.Sequential:
    """Return the last layer: batch norm, dropout, linear, batch norm; a map of `side`² to (N, feature)."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(channels * side**2, feature),
        nn.BatchNorm1d(feature),
    )


def xavier(network: nn.Module) -> None:
    """Draw weights of convolutions and linear layers Xavier-uniform, biases 0, as these networks start."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
