"""Small plain CNNs: targets that train in seconds on one CPU core."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from trainables.architectures.base import Architecture, Classifier

WIDTHS = (32, 32, 64, 64, 128, 128)  # every second unit, from the first, halves the resolution
NARROW = (16, 16, 32, 32, 64, 64)
SOURCE = "this project"


def build(classes: int, image_size: int, *, widths: Sequence[int] = WIDTHS) -> Classifier:
    """Return a small CNN with random weights; feature ``widths[-1]`` numbers at any image size from 32.

    widths: channels of the stages conv1 … conv6, each a 3x3 convolution, batch norm and ReLU. `WIDTHS` make
        0.29 M weights, 10 M multiplications per image at 32 pixels, 39 M at 64; `NARROW` a quarter of both.

    Hooks: the last unit at the first two resolutions, the pooled feature.
    """
    stages: dict[str, nn.Module] = {}
    channels = 3
    for number, width in enumerate(widths):
        stages[f"conv{number + 1}"] = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2 - number % 2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        channels = width
    classifier = Classifier(
        stages,
        neck=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        head=nn.Linear(channels, classes),
        hooks=("conv2", "conv4", "neck"),
    )
    return classifier.to(memory_format=torch.channels_last)  # a tenth less time per step on a CPU


SMALL_CNN = Architecture(
    kind="small_cnn",
    summary="six 3x3 convolution units for 32 to 64 pixels on a CPU",
    source=SOURCE,
    build=build,
)
TINY_CNN = Architecture(
    kind="tiny_cnn",
    summary="small_cnn of half the width",
    source=SOURCE,
    build=partial(build, widths=NARROW),
)
