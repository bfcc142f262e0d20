"""Architectures of targets and evaluation classifiers. Add one: a file here, a line below."""

from functools import lru_cache

import torch

from trainables.architectures.base import Architecture
from trainables.architectures.mobilefacenet import MOBILEFACENET
from trainables.architectures.mobilenet_v2 import MOBILENET_V2
from trainables.architectures.resnet18 import RESNET18
from trainables.architectures.small_cnn import SMALL_CNN
from trainables.architectures.small_resnet import SMALL_RESNET
from trainables.architectures.vgg16_bn import VGG16_BN
from trainables.errors import ConfigError
from trainables.storage.documents import suggestion

ARCHITECTURES: dict[str, Architecture] = {
    "vgg16_bn": VGG16_BN,
    "resnet18": RESNET18,
    "mobilenet_v2": MOBILENET_V2,
    "mobilefacenet": MOBILEFACENET,
    "small_cnn": SMALL_CNN,
    "small_resnet": SMALL_RESNET,
}


@lru_cache
def freeze_points(architecture: str) -> tuple[str, ...]:
    """Return the freeze points of an architecture, ``"none"`` first; raise `ConfigError` if it is unknown."""
    if architecture not in ARCHITECTURES:
        raise ConfigError(
            f"architecture must be one of {', '.join(ARCHITECTURES)}; "
            f"got '{architecture}'{suggestion(architecture, ARCHITECTURES)}"
        )
    with torch.device("meta"):  # names only: no weights are made
        return ARCHITECTURES[architecture].build(2, 64).freeze_points
