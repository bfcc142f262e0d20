"""Batch norms in eval mode, folded into the layers before them."""

import itertools
import sys
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

Network = TypeVar("Network", bound=nn.Module)
Pair = tuple[str, str]


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
