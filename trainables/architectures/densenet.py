"""DenseNet-121 in torchvision's shape: dense blocks and transitions, none of them ever half frozen."""

import torch
from torch import nn

from trainables.architectures.base import Architecture, Classifier

# torchvision's layers of each stage
UNITS = {
    "stem": ("conv0", "norm0", "relu0", "pool0"),
    "denseblock1": ("denseblock1",),
    "transition1": ("transition1",),
    "denseblock2": ("denseblock2",),
    "transition2": ("transition2",),
    "denseblock3": ("denseblock3",),
    "transition3": ("transition3",),
    "denseblock4": ("denseblock4", "norm5"),
}


def build(classes: int, image_size: int) -> Classifier:
    """Return DenseNet-121 with random weights; feature 1024 numbers at any image size from 32.

    Stages: stem, denseblock1, transition1 … denseblock4, the last with the batch norm that follows it.
    Hooks: the last unit at each resolution (stem and dense blocks 1 to 3) and the feature; unpublished.
    """
    from torchvision.models import densenet121

    features = densenet121(weights=None, num_classes=1).features
    stages = {
        stage: nn.Sequential(*(features.get_submodule(layer) for layer in layers))
        for stage, layers in UNITS.items()
    }
    classifier = Classifier(
        stages,
        neck=nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        head=nn.Linear(1024, classes),
        hooks=("stem", "denseblock1", "denseblock2", "denseblock3", "neck"),
        skips=[(stage,) for stage in stages if stage.startswith("denseblock")],
    )
    return classifier.to(memory_format=torch.channels_last)  # a quarter less time per step on a CPU


def torchvision_key(key: str) -> str:
    """Return torchvision's name of the stage weight `key`: ``stem.0.weight`` -> ``features.conv0.weight``."""
    stage, layer, rest = key.split(".", 2)
    return f"features.{UNITS[stage][int(layer)]}.{rest}"


DENSENET121 = Architecture(
    kind="densenet121",
    summary="DenseNet-121: stem, four dense blocks and the transitions between them",
    source="Huang et al., CVPR 2017",
    build=build,
    torchvision_weights="DenseNet121_Weights",
    torchvision_key=torchvision_key,
    stages=tuple(UNITS),
)
