"""The residual stages that were recorded with the code of RoLSS, in torchvision's blocks."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trainables.architectures.base import Classifier

GOLDEN = Path(__file__).parents[1] / "golden" / "10c_rolss_stage_a.npz"


def read() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def stages(golden: Mapping[str, np.ndarray]) -> list[nn.Sequential]:
    """Return the four recorded stages, each block with its whole skip."""
    from torchvision.models.resnet import BasicBlock

    made = []
    for number in range(4):
        blocks = []
        for place in range(int(golden["blocks_per_stage"][number])):
            prefix = f"w__{number}__{place}__"
            state = {
                name.removeprefix(prefix).replace("__", "."): torch.from_numpy(np.asarray(value))
                for name, value in golden.items()
                if name.startswith(prefix)
            }
            width, channels = state["conv1.weight"].shape[:2]
            stride = int(golden["strides"][number, 0]) if place == 0 else 1
            projection = None
            if "downsample.0.weight" in state:
                projection = nn.Sequential(
                    nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
                )
            block = BasicBlock(channels, width, stride, projection)
            block.load_state_dict(state)
            blocks.append(block)
        made.append(nn.Sequential(*blocks))
    return made


def classifier() -> Classifier:
    """Return a network in eval mode whose stages 1 to 4 are the recorded ones, each a group of skips.

    What they receive, four channels, goes in at stage 1: stage 0 does nothing.
    """
    made = {f"layer{number}": stage for number, stage in enumerate(stages(read()), 1)}
    neck = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    skips = tuple((name,) for name in made)
    return Classifier({"stem": nn.Identity(), **made}, neck, nn.Linear(8, 3), skips=skips).eval()


def scaled_by_hand(stage: nn.Module, x: Tensor, factor: float) -> Tensor:
    """Return what a stage of `classifier` gives in eval mode with all its skips scaled, layer by layer."""
    for block in stage:
        y = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
        shortcut = x if block.downsample is None else block.downsample[1](block.downsample[0](x))
        x = (y + factor * shortcut).relu()
    return x
