"""Architectures of targets and evaluation classifiers. Add one: a file here, a line below."""

from trainables.architectures.base import Architecture
from trainables.architectures.mobilenet_v2 import MOBILENET_V2
from trainables.architectures.resnet18 import RESNET18
from trainables.architectures.small_cnn import SMALL_CNN
from trainables.architectures.small_resnet import SMALL_RESNET
from trainables.architectures.vgg16_bn import VGG16_BN

ARCHITECTURES: dict[str, Architecture] = {
    "vgg16_bn": VGG16_BN,
    "resnet18": RESNET18,
    "mobilenet_v2": MOBILENET_V2,
    "small_cnn": SMALL_CNN,
    "small_resnet": SMALL_RESNET,
}
