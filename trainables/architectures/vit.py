"""ViT-B/16 in torchvision's shape: an embedding and twelve encoder layers."""

from typing import Any

import torch
from torch import Tensor, nn

from trainables.architectures.base import Architecture, Classifier

PATCH = 16
LAYERS = tuple(f"encoder_layer_{number}" for number in range(12))


class Embedding(nn.Module):
    """Patches, a class token before them and their positions, (N, 3, S, S) -> (N, (S / 16)² + 1, 768).

    net: torchvision's network, whose weights it takes over.
    """

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.conv_proj: nn.Module = net.conv_proj
        self.class_token: nn.Parameter = net.class_token
        self.pos_embedding: nn.Parameter = net.encoder.pos_embedding

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens of images (N, 3, S, S)."""
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        return torch.cat([self.class_token.expand(len(x), -1, -1), patches], 1) + self.pos_embedding


class ClassToken(nn.Module):
    """The first token, (N, T, F) -> (N, F)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x[:, 0]``."""
        return x[:, 0]


def build(classes: int, image_size: int) -> Classifier:
    """Return ViT-B/16 with random weights; feature 768 numbers at any image size divisible by 16.

    Stages: embedding, encoder_layer_0 … encoder_layer_11, the last with the layer norm that follows it.
    There is a position for each patch, so that ImageNet's weights fit at the size they were trained on alone.
    Hooks: every third encoder layer and the feature; unpublished.
    """
    from torchvision.models import vit_b_16

    net = vit_b_16(weights=None, num_classes=1, image_size=image_size)
    layers = dict(net.encoder.layers.named_children())
    layers[LAYERS[-1]] = nn.Sequential(layers[LAYERS[-1]], net.encoder.ln)
    return Classifier(
        {"embedding": Embedding(net)} | layers,
        neck=ClassToken(),
        head=nn.Linear(net.hidden_dim, classes),
        hooks=("encoder_layer_2", "encoder_layer_5", "encoder_layer_8", "neck"),
        skips=[(layer,) for layer in LAYERS],
    )


def torchvision_key(key: str) -> str:
    """Return torchvision's name of the stage weight `key`: ``encoder_layer_0.…`` -> ``encoder.layers.…``."""
    stage, rest = key.split(".", 1)
    if stage == "embedding":
        return f"encoder.{rest}" if rest == "pos_embedding" else rest
    if stage == LAYERS[-1]:
        part, rest = rest.split(".", 1)
        if part == "1":
            return f"encoder.ln.{rest}"
    return f"encoder.layers.{stage}.{rest}"


VIT_B_16 = Architecture(
    kind="vit_b_16",
    summary="ViT-B/16: embedding and twelve encoder layers",
    source="Dosovitskiy et al., ICLR 2021",
    build=build,
    torchvision_weights="ViT_B_16_Weights",
    torchvision_key=torchvision_key,
    stages=("embedding", *LAYERS),
    multiple=PATCH,
)
