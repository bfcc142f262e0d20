"""MobileNetV2 in torchvision's shape: 19 units, light enough to fine-tune on a CPU."""

import torch
from torch import nn

from trainables.architectures.base import Architecture, Classifier

# Units of the same width that have a skip; the first of each width has none, and so has features_17.
SKIPS = tuple(
    tuple(f"features_{number}" for number in numbers)
    for numbers in ((3,), (5, 6), (8, 9, 10), (12, 13), (15, 16))
)


def build(classes: int, image_size: int) -> Classifier:
    """Return MobileNetV2 with random weights; feature 1280 numbers at any image size from 32.

    Stages: features_0 … features_18 (torchvision's features.0 … features.18; no dot is allowed in a module's
    name). torchvision's dropout before the head is left out: a head is one linear layer in every target.
    Hooks: the last unit at each resolution and the pooled feature; five terms, like BiDO's for VGG16.
    """
    from torchvision.models.mobilenetv2 import mobilenet_v2

    units = mobilenet_v2(weights=None, num_classes=1).features
    classifier = Classifier(
        {f"features_{number}": unit for number, unit in enumerate(units)},
        neck=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        head=nn.Linear(1280, classes),
        hooks=("features_1", "features_3", "features_6", "features_13", "neck"),
        skips=SKIPS,
    )
    return classifier.to(memory_format=torch.channels_last)  # a third less time per step on a CPU


def torchvision_key(key: str) -> str:
    """Return torchvision's name of the stage weight `key`: ``features_1.conv.…`` -> ``features.1.conv.…``."""
    return key.replace("features_", "features.", 1)


MOBILENET_V2 = Architecture(
    kind="mobilenet_v2",
    summary="MobileNetV2: 19 inverted-bottleneck units",
    source="Sandler et al., CVPR 2018",
    build=build,
    torchvision_weights="MobileNet_V2_Weights",
    torchvision_key=torchvision_key,
)
