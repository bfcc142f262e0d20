"""Architectures of targets and evaluation classifiers. Add one: a file here, a line below."""

from functools import lru_cache

from trainables.architectures.base import Architecture
from trainables.architectures.densenet import DENSENET121
from trainables.architectures.improved_residual import FACENET64, FACENET112, IR152
from trainables.architectures.inception_v3 import INCEPTION_V3
from trainables.architectures.library import LIBRARIES, library_architecture
from trainables.architectures.maxvit import MAXVIT_T
from trainables.architectures.mobilefacenet import MOBILEFACENET
from trainables.architectures.mobilenet_v2 import MOBILENET_V2
from trainables.architectures.resnest import RESNEST101
from trainables.architectures.resnet import RESNET18, RESNET34, RESNET50, RESNET101, RESNET152
from trainables.architectures.small_cnn import SMALL_CNN, TINY_CNN
from trainables.architectures.small_resnet import SMALL_RESNET
from trainables.architectures.vgg16_bn import VGG16_BN
from trainables.architectures.vit import VIT_B_16
from trainables.architectures.vmi_resnet34 import VMI_RESNET34
from trainables.errors import ConfigError
from trainables.storage.documents import suggestion

ARCHITECTURES: dict[str, Architecture] = {
    "vgg16_bn": VGG16_BN,
    "resnet18": RESNET18,
    "mobilenet_v2": MOBILENET_V2,
    "mobilefacenet": MOBILEFACENET,
    "small_cnn": SMALL_CNN,
    "tiny_cnn": TINY_CNN,
    "small_resnet": SMALL_RESNET,
    "resnet34": RESNET34,
    "resnet50": RESNET50,
    "resnet101": RESNET101,
    "resnet152": RESNET152,
    "vmi_resnet34": VMI_RESNET34,
    "ir152": IR152,
    "facenet64": FACENET64,
    "facenet112": FACENET112,
    "densenet121": DENSENET121,
    "inception_v3": INCEPTION_V3,
    "maxvit_t": MAXVIT_T,
    "vit_b_16": VIT_B_16,
    "resnest101": RESNEST101,
}


def get_architecture(name: str) -> Architecture:
    """Return the architecture of the registry, or the one that ``torchvision:NAME`` or ``timm:NAME`` means.

    Raises `ConfigError` if it is unknown, its library is not installed, or the network cannot be cut.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    library, colon, network = name.partition(":")
    if colon and library in LIBRARIES:
        return library_architecture(library, network)
    raise ConfigError(
        f"architecture must be one of {', '.join(ARCHITECTURES)}, or any other classifier as "
        f"torchvision:NAME or timm:NAME; got '{name}'{suggestion(name, ARCHITECTURES)}"
    )


@lru_cache
def freeze_points(architecture: str) -> tuple[str, ...]:
    """Return the freeze points of an architecture, ``"none"`` first; raise `ConfigError` if it is unknown."""
    return get_architecture(architecture).freeze_points
