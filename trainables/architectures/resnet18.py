"""ResNet-18 in torchvision's shape: a stem and eight residual blocks, none of them ever half frozen."""

from torch import nn

from trainables.architectures.base import Architecture, Classifier


def build(classes: int, image_size: int) -> Classifier:
    """Return ResNet-18 with random weights; feature 512 numbers at any image size from 32.

    Stages: stem (7x7 convolution, batch norm, ReLU, max-pool), layer1_0, layer1_1 … layer4_1 (torchvision's
    layer1.0 … layer4.1; a dot is not allowed in a module's name).
    Hooks: the last unit at each resolution (stem and the ends of layers 1 to 3) and the pooled feature; five
    terms, like BiDO's for VGG16. BiDO's own choice for ResNets is unpublished.
    """
    from torchvision.models import resnet18

    net = resnet18(weights=None, num_classes=1)
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)}
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        stages |= {f"{layer}_{number}": block for number, block in enumerate(getattr(net, layer))}
    return Classifier(
        stages,
        neck=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        head=nn.Linear(512, classes),
        hooks=("stem", "layer1_1", "layer2_1", "layer3_1", "neck"),
    )


def torchvision_key(key: str) -> str:
    """Return torchvision's name of the stage weight `key`: ``layer1_0.bn1.bias`` -> ``layer1.0.bn1.bias``."""
    stage, rest = key.split(".", 1)
    if stage == "stem":
        layer, name = rest.split(".")
        return f"{('conv1', 'bn1')[int(layer)]}.{name}"
    return f"{stage.replace('_', '.')}.{rest}"


RESNET18 = Architecture(
    kind="resnet18",
    summary="ResNet-18: stem and eight residual blocks",
    source="He et al., CVPR 2016",
    build=build,
    torchvision_weights="ResNet18_Weights",
    torchvision_key=torchvision_key,
)
