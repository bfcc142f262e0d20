"""Inception-v3 in torchvision's shape: the evaluation classifier of 224-pixel attacks, at 299 pixels."""

from torch import nn

from trainables.architectures.base import Architecture, Classifier

# torchvision's layers of each stage; a max-pool ends the stage before it
UNITS = {
    "conv1a": ("Conv2d_1a_3x3",),
    "conv2a": ("Conv2d_2a_3x3",),
    "conv2b": ("Conv2d_2b_3x3", "maxpool1"),
    "conv3b": ("Conv2d_3b_1x1",),
    "conv4a": ("Conv2d_4a_3x3", "maxpool2"),
    **{f"mixed{unit}": (f"Mixed_{unit}",) for unit in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e")},
    **{f"mixed{unit}": (f"Mixed_{unit}",) for unit in ("7a", "7b", "7c")},
}


def build(classes: int, image_size: int) -> Classifier:
    """Return Inception-v3 with random weights; feature 2048 numbers at any image size from 75.

    Stages: conv1a … conv4a and mixed5b … mixed7c (torchvision's Conv2d_1a_3x3 … Mixed_7c). The neck keeps the
    dropout of the published evaluator; the auxiliary head is left out. torchvision's weights were trained on
    pixels from -1 to 1: their normalization is "half", not "imagenet".
    Hooks: the last unit at each resolution and the feature; unpublished.
    """
    from torchvision.models import inception_v3

    net = inception_v3(weights=None, num_classes=1, aux_logits=False, init_weights=True)
    stages = {
        stage: nn.Sequential(*(net.get_submodule(layer) for layer in layers))
        for stage, layers in UNITS.items()
    }
    return Classifier(
        stages,
        neck=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5)),
        head=nn.Linear(2048, classes),
        hooks=("conv2b", "conv4a", "mixed5d", "mixed6e", "neck"),
    )


def torchvision_key(key: str) -> str:
    """Return torchvision's name of the stage weight `key`: ``mixed5b.0.…`` -> ``Mixed_5b.…``."""
    stage, layer, rest = key.split(".", 2)
    return f"{UNITS[stage][int(layer)]}.{rest}"


INCEPTION_V3 = Architecture(
    kind="inception_v3",
    summary="Inception-v3: five convolutions and eleven mixed blocks, from 75 pixels",
    source="Szegedy et al., CVPR 2016",
    build=build,
    torchvision_weights="Inception_V3_Weights",
    torchvision_key=torchvision_key,
    stages=tuple(UNITS),
    smallest=75,
    surplus=("AuxLogits.",),
)
