"""ResNeSt-101, timm's: a ResNet whose 3x3 convolutions weigh two groups of channels against each other."""

from torch import nn

from trainables.architectures.base import Architecture, Classifier, stage_groups
from trainables.architectures.residual_layers import (
    LAYERS,
    hooks_of,
    residual_stages,
    stage_names,
    torchvision_key,
)
from trainables.architectures.timm_import import import_timm

BLOCKS = (3, 4, 23, 3)


def build(classes: int, image_size: int) -> Classifier:
    """Return ResNeSt-101 with random weights; feature 2048 numbers at any image size from 32.

    Stages and hooks as in resnet101, with timm's deep stem. Raises `ConfigError` where timm is not installed.
    """
    net = import_timm("resnest101").create_model("resnest101e", pretrained=False, num_classes=1)
    stages = residual_stages(net, ("conv1", "bn1", "act1", "maxpool"))
    return Classifier(
        stages,
        neck=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        head=nn.Linear(2048, classes),
        hooks=(*hooks_of(BLOCKS), "neck"),
        skips=stage_groups(stages, LAYERS),
    )


RESNEST101 = Architecture(
    kind="resnest101",
    summary="ResNeSt-101: stem and 33 split-attention blocks (the extra timm)",
    source="Zhang et al., CVPR Workshops 2022; timm's resnest101e",
    build=build,
    torchvision_key=torchvision_key,
    stages=stage_names(BLOCKS),
)
