"""MobileFaceNet as a target: a face recogniser's body, whose published weights a checkpoint gives."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Architecture, Classifier
from trainables.nn.mobilefacenet import HEIGHT, WIDTH, MobileFaceNet

# Blocks at each resolution that have a skip: all but those that halve it.
SKIPS = tuple(tuple(f"blocks_{n}" for n in numbers) for numbers in (range(1, 5), range(6, 12), range(13, 15)))


class Enlarged(nn.Module):
    """Square images (N, 3, S, S) as the body takes them: (N, 3, 112, 96), resized, the sides cut off."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the enlarged images."""
        if x.shape[-1] != HEIGHT:
            x = functional.interpolate(x, size=(HEIGHT, HEIGHT), mode="bilinear", align_corners=False)
        cut = (HEIGHT - WIDTH) // 2
        return x[..., cut:-cut]


def build(classes: int, image_size: int) -> Classifier:
    """Return MobileFaceNet with random weights; feature 128 numbers at any image size.

    Stages: conv1 (with the enlargement), dw_conv1, blocks_0 … blocks_14, conv2, linear7, linear1; frozen to
    linear1, the head alone is trained. Published weights expect normalization "half".
    Hooks: the last unit at each resolution and the feature; five terms, like BiDO's for VGG16.
    """
    net = MobileFaceNet()
    first = nn.Sequential()
    first.add_module("enlarged", Enlarged())
    for name, module in net.conv1.named_children():
        first.add_module(name, module)
    stages: dict[str, nn.Module] = {"conv1": first, "dw_conv1": net.dw_conv1}
    stages |= {f"blocks_{number}": block for number, block in enumerate(net.blocks)}
    stages |= {"conv2": net.conv2, "linear7": net.linear7, "linear1": net.linear1}
    classifier = Classifier(
        stages,
        neck=nn.Flatten(),
        head=nn.Linear(128, classes),
        hooks=("dw_conv1", "blocks_4", "blocks_11", "conv2", "neck"),
        skips=SKIPS,
    )
    return classifier.to(memory_format=torch.channels_last)


def published_key(key: str) -> str:
    """Return the published name of the stage weight `key`: ``blocks_3.conv.…`` -> ``blocks.3.conv.…``."""
    return key.replace("blocks_", "blocks.", 1)


MOBILEFACENET = Architecture(
    kind="mobilefacenet",
    summary="MobileFaceNet: 15 inverted bottlenecks on faces of 112 x 96 pixels",
    source="Chen et al., CCBR 2018",
    build=build,
    published_key=published_key,
    normalization="half",
    body=(HEIGHT, WIDTH),
)
