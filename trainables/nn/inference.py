"""Copies of networks that give the same outputs, and gradients of their inputs, for less work."""

import copy
import itertools
import sys
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from trainables.errors import ConfigError
from trainables.nn.precision import apply_precision

Network = TypeVar("Network", bound=nn.Module)
Pair = tuple[str, str]


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


def fold_batchnorm(network: Network) -> Network:
    """Return `network`, which is in eval mode, with batch norms folded in place into the layers before them.

    Only where the order of layers is certain: neighbours in an ``nn.Sequential`` and torchvision's residual
    blocks. Outputs change by the rounding of floats.
    """
    for module in list(network.modules()):
        for first, second in _neighbours(module):
            folded = _folded(module.get_submodule(first), module.get_submodule(second))
            if folded is not None:
                setattr(module, first, folded)
                setattr(module, second, nn.Identity())
    return network


def _neighbours(module: nn.Module) -> list[Pair]:
    if isinstance(module, nn.Sequential):
        names = [name for name, _ in module.named_children()]
        return list(itertools.pairwise(names))
    resnet = sys.modules.get("torchvision.models.resnet")  # loaded if a network has its blocks; else seconds
    if resnet is not None and isinstance(module, resnet.BasicBlock | resnet.Bottleneck):
        return [(f"conv{n}", f"bn{n}") for n in (1, 2, 3) if hasattr(module, f"conv{n}")]
    return []


def _folded(layer: nn.Module, norm: nn.Module) -> nn.Module | None:
    if isinstance(norm, nn.BatchNorm2d) and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        return fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, nn.ConvTranspose2d))
    if isinstance(norm, nn.BatchNorm1d) and isinstance(layer, nn.Linear):
        return fuse_linear_bn_eval(layer, norm)
    return None
