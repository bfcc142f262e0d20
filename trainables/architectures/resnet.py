"""ResNets in torchvision's shape: a stem and residual blocks, none of them ever half frozen."""

from functools import partial

from torch import nn

from trainables.architectures.base import Architecture, Classifier, stage_groups
from trainables.architectures.residual_layers import (
    LAYERS,
    hooks_of,
    residual_stages,
    stage_names,
    torchvision_key,
)

BLOCKS = {  # of layers 1 to 4
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
SOURCE = "He et al., CVPR 2016"


def build(classes: int, image_size: int, *, name: str) -> Classifier:
    """Return a ResNet with random weights; feature 512 numbers, or 2048 from resnet50, at any size from 32.

    Stages: stem (7x7 convolution, batch norm, ReLU, max-pool), layer1_0, layer1_1 … (torchvision's layer1.0,
    layer1.1 …; a dot is not allowed in a module's name).
    Hooks: the last unit at each resolution (stem and the ends of layers 1 to 3) and the pooled feature; five
    terms, like BiDO's for VGG16. BiDO's own choice for ResNets is unpublished.
    """
    from torchvision.models import get_model

    net = get_model(name, weights=None, num_classes=1)
    stages = residual_stages(net, ("conv1", "bn1", "relu", "maxpool"))
    feature_size = 512 if name in ("resnet18", "resnet34") else 2048
    return Classifier(
        stages,
        neck=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        head=nn.Linear(feature_size, classes),
        hooks=(*hooks_of(BLOCKS[name]), "neck"),
        skips=stage_groups(stages, LAYERS),
    )


RESNET18 = Architecture(
    kind="resnet18",
    summary="ResNet-18: stem and eight residual blocks",
    source=SOURCE,
    build=partial(build, name="resnet18"),
    torchvision_weights="ResNet18_Weights",
    torchvision_key=torchvision_key,
    stages=stage_names(BLOCKS["resnet18"]),
)
RESNET34 = Architecture(
    kind="resnet34",
    summary="ResNet-34: stem and 16 residual blocks",
    source=SOURCE,
    build=partial(build, name="resnet34"),
    torchvision_weights="ResNet34_Weights",
    torchvision_key=torchvision_key,
    stages=stage_names(BLOCKS["resnet34"]),
)
RESNET50 = Architecture(
    kind="resnet50",
    summary="ResNet-50: stem and 16 bottleneck blocks",
    source=SOURCE,
    build=partial(build, name="resnet50"),
    torchvision_weights="ResNet50_Weights",
    torchvision_key=torchvision_key,
    stages=stage_names(BLOCKS["resnet50"]),
)
RESNET101 = Architecture(
    kind="resnet101",
    summary="ResNet-101: stem and 33 bottleneck blocks",
    source=SOURCE,
    build=partial(build, name="resnet101"),
    torchvision_weights="ResNet101_Weights",
    torchvision_key=torchvision_key,
    stages=stage_names(BLOCKS["resnet101"]),
)
RESNET152 = Architecture(
    kind="resnet152",
    summary="ResNet-152: stem and 50 bottleneck blocks",
    source=SOURCE,
    build=partial(build, name="resnet152"),
    torchvision_weights="ResNet152_Weights",
    torchvision_key=torchvision_key,
    stages=stage_names(BLOCKS["resnet152"]),
)
