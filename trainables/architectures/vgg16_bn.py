"""VGG16 with batch norm, as model-inversion work trains it: 13 units, a flat feature, one layer."""

from torch import nn

from trainables.architectures.base import Architecture, Classifier

UNITS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1", "5_2", "5_3")
FIRST_LAYERS = (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40)  # of each unit in torchvision's `features`


def build(classes: int, image_size: int) -> Classifier:
    """Return VGG16-BN with random weights; feature 512·(S//32)² numbers (2048 at 64 pixels).

    Stages: conv1_1 … conv5_3, each convolution, batch norm and ReLU; the max-pool ends its block's last unit.
    Neck: the flattened map through a batch norm whose bias stays 0, as in the KED-MI and BiDO code.
    Hooks, as in BiDO's code: the outputs of blocks 1 to 4 after pooling, and the neck.
    """
    from torchvision.models.vgg import cfgs, make_layers

    layers = list(make_layers(cfgs["D"], batch_norm=True))
    for layer in layers:
        if isinstance(layer, nn.Conv2d):  # torchvision's own start for VGG
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    ends = (*FIRST_LAYERS[1:], len(layers))
    stages = {
        f"conv{unit}": nn.Sequential(*layers[first:end])
        for unit, first, end in zip(UNITS, FIRST_LAYERS, ends, strict=True)
    }
    feature_size = 512 * (image_size // 32) ** 2
    norm = nn.BatchNorm1d(feature_size)
    norm.bias.requires_grad_(False)
    return Classifier(
        stages,
        neck=nn.Sequential(nn.Flatten(), norm),
        head=nn.Linear(feature_size, classes),
        hooks=("conv1_2", "conv2_2", "conv3_3", "conv4_3", "neck"),
    )


def torchvision_key(key: str) -> str:
    """Return torchvision's name of the stage weight `key`: ``conv1_2.1.bias`` -> ``features.4.bias``."""
    unit, layer, name = key.split(".")
    return f"features.{FIRST_LAYERS[UNITS.index(unit.removeprefix('conv'))] + int(layer)}.{name}"


VGG16_BN = Architecture(
    kind="vgg16_bn",
    summary="VGG16 with batch norm: 13 convolution units, flattened feature",
    source="Simonyan & Zisserman, ICLR 2015; head as in Chen et al., ICCV 2021 (KED-MI)",
    build=build,
    torchvision_weights="VGG16_BN_Weights",
    torchvision_key=torchvision_key,
)
