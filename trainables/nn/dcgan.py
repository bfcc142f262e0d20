"""Parts that the GANs of GMI and KEDMI share: generator, image sizes, and the average of its weights."""

import torch
from torch import nn

from trainables.errors import ConfigError


def check_size(kind: str, image_size: int) -> None:
    """Raise `ConfigError` unless the prior `kind` can make images of this size."""
    if image_size < 32 or image_size & (image_size - 1):
        raise ConfigError(
            f"prior '{kind}' expects an image_size that is a power of two from 32; got {image_size} "
            "(image_size); choose 32, 64 or 128"
        )


def generator(latent_size: int, width: int, image_size: int) -> nn.Module:
    """Return latents (N, latent_size) -> images (N, 3, S, S) in [0, 1].

    Width 64 at S = 64 is the published net, of 5.1 M weights.
    """
    doublings = image_size.bit_length() - 4  # 4x4 doubled up to S/2 by blocks, then once more to pixels
    channels = width * 2**doublings
    layers: list[nn.Module] = [
        nn.Linear(latent_size, channels * 16, bias=False),
        nn.BatchNorm1d(channels * 16),
        nn.ReLU(),
        nn.Unflatten(1, (channels, 4, 4)),
    ]
    for _ in range(doublings):
        layers += [
            nn.ConvTranspose2d(channels, channels // 2, 5, stride=2, padding=2, output_padding=1, bias=False),
            nn.BatchNorm2d(channels // 2),
            nn.ReLU(),
        ]
        channels //= 2
    layers += [nn.ConvTranspose2d(channels, 3, 5, stride=2, padding=2, output_padding=1), nn.Sigmoid()]
    return nn.Sequential(*layers)


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move weights and statistics of `average` towards those of `network`: a <- decay a + (1 - decay) w."""
    for ours, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if ours.is_floating_point():
            ours.lerp_(theirs, 1 - decay)
        else:
            ours.copy_(theirs)
