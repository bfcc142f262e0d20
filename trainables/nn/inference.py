"""Copies of networks that give the same outputs, and gradients of their inputs, for less work."""

import copy
from typing import TypeVar

import torch
from torch import nn

from trainables.errors import ConfigError
from trainables.nn.batch_norm import fold_batchnorm
from trainables.nn.precision import apply_precision

Network = TypeVar("Network", bound=nn.Module)


def inference_copy(network: Network, device: str, channels_last: bool = True) -> Network:
    """Return a copy of `network` to run or to descend through: eval, no weight gradients, batch norm folded.

    An attack moves latents only: gradients of weights would cost a third of its work for nothing. In eval
    mode a batch norm is an affine map, which the layer before it can do. `channels_last` lays weights out as
    the CPU's convolutions prefer; other devices keep their layout. `network` itself is left alone. Raises
    `ConfigError` for what is no network, as an oracle is. Inside `precision_scope` the copy computes
    as that says.
    """
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"a white-box attack expects a Classifier; got a {type(network).__name__} (target); choose a "
            "threat model that shows gradients, or a black-box attack"
        )
    copied = fold_batchnorm(copy.deepcopy(network).eval()).requires_grad_(False)
    if device == "cpu" and channels_last:
        copied = copied.to(memory_format=torch.channels_last)
    return apply_precision(copied, device)
