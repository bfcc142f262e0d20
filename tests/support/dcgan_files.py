"""Networks of PyTorch's DCGAN tutorial with random weights, written as its users save them."""

from pathlib import Path

import torch
from torch import nn


def tutorial_generator(latent_size: int, width: int, size: int = 32) -> nn.Sequential:
    """Return the tutorial's generator of images of `size` pixels, a power of two from 8."""
    doublings = size.bit_length() - 4
    channels = width * 2**doublings
    layers = [
        nn.ConvTranspose2d(latent_size, channels, 4, 1, 0, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    ]
    for _ in range(doublings):
        layers.append(nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False))
        channels //= 2
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(channels, 3, 4, 2, 1, bias=False), nn.Tanh())


def tutorial_discriminator(width: int, size: int = 32) -> nn.Sequential:
    """Return the tutorial's discriminator of images of `size` pixels, with its sigmoid."""
    layers = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for _ in range(size.bit_length() - 4):
        layers.append(nn.Conv2d(width, width * 2, 4, 2, 1, bias=False))
        width *= 2
        layers += [nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 0, bias=False), nn.Sigmoid())


def save(network: nn.Module, path: Path, prefix: str = "main.", seed: int = 0) -> str:
    """Write random weights of `network`, which gets them, under names with `prefix`; return the path."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(0.5 * torch.rand(value.shape, generator=generator) + 0.1 * (value.ndim < 4))
                value.sub_(0.25 * (value.ndim == 4))
    torch.save({f"{prefix}{name}": value for name, value in network.state_dict().items()}, path)
    return str(path)
