"""Distances of pictures that attacks descend on: in the features of VGG16, or of pixels."""

from typing import Any, Literal
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.errors import ConfigError

FeatureName = Literal["vgg16", "pixels"]
LAYERS = (3, 8, 15, 22, 29)  # of torchvision's VGG16: the last ReLU of each block, as LPIPS takes them
LARGEST = 256  # pixels; larger pictures are averaged down to it first
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TINY = 1e-10  # of a feature's length, as in LPIPS


class Perceptual(nn.Module):
    """Distances (n,) of pictures: per place, squared differences of unit features, summed over the layers.

    That is LPIPS (Zhang et al., CVPR 2018) without its learnt weights of channels, which torchvision does not
    have. "pixels": the pixels themselves are the one layer, and are not brought to unit length.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: FeatureName) -> None:
        super().__init__()
        self.layers = vgg16_layers() if name == "vgg16" else None
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the features (n, C, s, s) of images (n, 3, S, S) in [0, 1], layer by layer."""
        if self.layers is None:
            return [images]
        if images.shape[-1] > LARGEST:
            images = functional.interpolate(images, size=(LARGEST, LARGEST), mode="area")
        value, taken = (images - self.mean) / self.std, []
        for number, layer in enumerate(self.layers):
            value = layer(value)
            if number in LAYERS:
                taken.append(value / (value.norm(dim=1, keepdim=True) + TINY))
        return taken

    def forward(self, images: Tensor, others: Tensor) -> Tensor:
        """Return the distance of each of `images` from its one of `others`, both (n, 3, S, S)."""
        pairs = zip(self.features(images), self.features(others), strict=True)
        return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in pairs]).sum(0)


def vgg16_layers() -> nn.Sequential:
    """Return the layers of torchvision's VGG16 up to the last that is taken, trained on ImageNet.

    Raises `ConfigError` if the weights cannot be had.
    """
    from torchvision.models import VGG16_Weights, vgg16

    entry: Any = VGG16_Weights.IMAGENET1K_V1
    network = vgg16(weights=None)
    try:
        network.load_state_dict(entry.get_state_dict(progress=False, check_hash=True))
    except (URLError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"the distance of pictures expects to download {entry.url}; got: {error} (features); go online "
            "once, or set features to 'pixels'"
        ) from error
    layers: nn.Sequential = network.features[: LAYERS[-1] + 1]
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return layers.eval().requires_grad_(False)
