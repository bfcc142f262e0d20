"""The discriminator of KEDMI's GAN: it classifies images, and compares those of a batch with each other."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from trainables.nn.critic import Critic

KERNELS, KERNEL_SIZE = 64, 50  # of the minibatch layer, as published


class MinibatchLayer(nn.Module):
    """Tells each row how near the others of its batch are (Salimans et al. 2016, section 3.2).

    o_b(x_i) = sum over j != i of exp(-|M_ib - M_jb|_1) with M_i = x_i T, T of (features, kernels, size).
    """

    def __init__(self, features: int, kernels: int = KERNELS, size: int = KERNEL_SIZE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, kernels, size))

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, features + kernels): the rows with their nearness to the others attached."""
        rows = features @ self.weight.flatten(1)
        rows = rows.view(-1, *self.weight.shape[1:]).transpose(0, 1)  # (kernels, n, size)
        # not `exp().sum() - 1`: a row's distance to itself is exactly 0, the rounding of a sum is not
        nearness = torch.cdist(rows, rows, p=1).neg().exp()
        apart = 1 - torch.eye(len(features), dtype=rows.dtype, device=rows.device)
        return torch.cat((features, (nearness * apart).sum(2).T), dim=1)


class InversionDiscriminator(Critic):
    """Classifies images into the target's labels; the log-sum of its scores says how real an image is.

    It compares the images of a batch with each other, so all scores depend on the company of an image.
    Width 64 at S = 64 is the published net: 18.9 M weights for 1000 labels.
    """

    compares_images: ClassVar[bool] = True

    def __init__(self, width: int, image_size: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, outputs = 3, width
        for _ in range(image_size.bit_length() - 4):  # S halved to 8x8, with ever more channels
            layers += [nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), *_normed(outputs)]
            inputs, outputs = outputs, outputs * 2
        layers += [nn.Conv2d(inputs, inputs, 3, stride=2, padding=1), *_normed(inputs)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.minibatch = MinibatchLayer(inputs * 16)
        self.head = nn.Linear(inputs * 16 + KERNELS, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return features (n, F), each of its own image alone; F = 4096 in the published net."""
        features: Tensor = self.layers(images)
        return features

    def logits(self, features: Tensor, group: int | None = None) -> Tensor:
        """Return logits (n, K). Rows are compared in groups of `group` neighbours, or all with all."""
        parts = [features] if group is None else features.split(group)  # type: ignore[no-untyped-call]
        logits: Tensor = self.head(torch.cat([self.minibatch(part) for part in parts]))
        return logits

    def forward(self, images: Tensor, group: int | None = None) -> Tensor:
        """Return the realism of images, (n,), unbounded: the log of the sum of exp(logits)."""
        return self.logits(self.features(images), group).logsumexp(1)


def _normed(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels, affine=True), nn.LeakyReLU(0.2)]
