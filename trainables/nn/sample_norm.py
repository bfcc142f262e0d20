"""Batch norm's stand-in in which no two images of a batch meet: group norm under the same names."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

GROUPS, LEAST_CHANNELS = 32, 4  # of a group norm; fewer groups where one would have fewer channels


class SampleNorm(nn.Module):
    """Takes over the weights, statistics and names of a batch norm, so that its stored weights fit.

    It starts as a group norm (Wu & He, ECCV 2018). Where a network is frozen, `use_statistics` makes it the
    batch norm of eval mode instead, which pre-training left and which looks at no other image either. Neither
    changes the statistics. Which it is enters the state dict as ``grouped``; one without it is of a batch
    norm, and is loaded as a group norm.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.eps, self.groups = norm.eps, groups_of(norm.num_features)
        for name, weight in norm.named_parameters(recurse=False):
            self.register_parameter(name, weight)
        for name, buffer in norm.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        self.register_buffer("grouped", torch.ones((), dtype=torch.bool))
        self._grouped = True  # the same, where nobody has to wait for a device

    def use_statistics(self) -> None:
        """Normalise by the statistics of pre-training from now on."""
        self.get_buffer("grouped").fill_(False)
        self._grouped = False

    def forward(self, x: Tensor) -> Tensor:
        """Return x (N, C, ...), normalised row by row."""
        weight, bias = self._parameters.get("weight"), self._parameters.get("bias")
        mean, variance = self._buffers.get("running_mean"), self._buffers.get("running_var")
        if self._grouped or mean is None:
            return functional.group_norm(x, self.groups, weight, bias, self.eps)
        return functional.batch_norm(x, mean, variance, weight, bias, training=False, eps=self.eps)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        state_dict.setdefault(f"{prefix}grouped", torch.ones((), dtype=torch.bool))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._grouped = bool(state_dict[f"{prefix}grouped"])


def groups_of(channels: int) -> int:
    """Return how many groups `channels` are normalised in: a power of two up to 32 that divides them."""
    groups = math.gcd(GROUPS, channels)
    while groups > 1 and channels // groups < LEAST_CHANNELS:
        groups //= 2
    return groups


def replace_batchnorm(network: nn.Module) -> None:
    """Put a `SampleNorm` in the place of every batch norm of `network`, with its weights and mode."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _BatchNorm):
                setattr(module, name, SampleNorm(child).train(child.training))
