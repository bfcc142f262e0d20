"""Skip connections of blocks that are there already, scaled in place; no weight changes its name.

A residual block gives F(x) + factor · shortcut(x), before whatever follows the sum: 1 is the block as it was,
0 one without its skip. A dense block keeps the first round(factor · channels) of the channels that it had
before each of its layers, so that 0 leaves it the newest ones alone.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.nn.mobilefacenet import Bottleneck

# The shortcut of a block, by the module that it is (or None in its place), and what else such a block has.
SHORTCUTS = (("shortcut", "path"), ("downsample", "conv2"), ("proj", "layers"))


class ScaledShortcut(nn.Sequential):
    """A shortcut, and what it gives times `factor`; empty, it is x itself."""

    factor: float = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Return factor · shortcut(x)."""
        y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return y * self.factor


def scale_skips(network: nn.Module, factor: float) -> int:
    """Scale every skip of `network` by `factor`, in [0, 1]; return how many blocks with one there are.

    May be called again, also on a copy: the last factor counts. Weights of a shortcut with the factor 0 stay
    where they are, without gradient.
    """
    return sum(_scale(block, factor) for block in list(network.modules()))


def _scale(block: nn.Module, factor: float) -> bool:
    for name, beside in SHORTCUTS:
        if hasattr(block, name) and hasattr(block, beside):
            _scale_shortcut(block, name, factor)
            return True
    forward = _forward_of(block)
    if forward is None:
        return False
    block.skip = factor  # type: ignore[assignment]
    block.forward = functools.partial(forward, block)  # type: ignore[method-assign]
    return True


def _scale_shortcut(block: nn.Module, name: str, factor: float) -> None:
    shortcut = getattr(block, name)
    if not isinstance(shortcut, ScaledShortcut):
        if shortcut is None:  # torchvision's and timm's name for x itself
            layers: tuple[nn.Module, ...] = ()
        else:
            layers = tuple(shortcut) if isinstance(shortcut, nn.Sequential) else (shortcut,)
        shortcut = ScaledShortcut(*layers)
        setattr(block, name, shortcut)
    shortcut.factor = factor


# Blocks whose skip is written into their forward: what they compute with it scaled. `block` is one of them.


def _inverted_residual(block: Any, x: Tensor) -> Tensor:
    y: Tensor = block.skip * x + block.conv(x)
    return y


def _encoder_block(block: Any, x: Tensor) -> Tensor:
    """Return what torchvision's does; the skip around its MLP alone is scaled, as published."""
    normal = block.ln_1(x)
    x = x + block.dropout(block.self_attention(normal, normal, normal, need_weights=False)[0])
    y: Tensor = block.skip * x + block.mlp(block.ln_2(x))
    return y


def _partition_attention(block: Any, x: Tensor) -> Tensor:
    rows, columns = (side // block.p for side in block.grid_size)
    x = block.partition_swap(block.partition_op(x, block.p))
    x = block.skip * x + block.stochastic_dropout(block.attn_layer(x))
    x = block.skip * x + block.stochastic_dropout(block.mlp_layer(x))
    y: Tensor = block.departition_op(block.departition_swap(x), block.p, rows, columns)
    return y


def _dense_block(block: Any, x: Tensor) -> Tensor:
    """Return all maps, those that were dropped as zeros: layers keep their shapes, and pre-trained weights.

    The published code leaves them out, which needs other shapes and training from scratch. What zeros become
    in a batch norm is a constant that the next batch norm takes away.
    """
    maps, kept = [x], [x.shape[1]]
    for layer in block.values():
        new = layer(_padded(maps, kept))
        left = round(block.skip * sum(kept))
        for place, count in enumerate(kept):
            kept[place] = min(count, left)
            left -= kept[place]
        maps.append(new)
        kept.append(new.shape[1])
    return torch.cat(_padded(maps, kept), 1)


def _padded(maps: list[Tensor], kept: list[int]) -> list[Tensor]:
    """Return each map with zeros for all but its first `kept` channels."""
    return [
        x if count == x.shape[1] else functional.pad(x[:, :count], (0, 0, 0, 0, 0, x.shape[1] - count))
        for x, count in zip(maps, kept, strict=True)
    ]


Forward = Callable[[Any, Tensor], Tensor]


def _forward_of(block: nn.Module) -> Forward | None:
    """Return the scaled forward of a block that has a skip of its own; None of any other module."""
    if isinstance(block, Bottleneck):
        return _inverted_residual if block.residual else None
    for module, name, forward in (
        ("mobilenetv2", "InvertedResidual", _inverted_residual),
        ("vision_transformer", "EncoderBlock", _encoder_block),
        ("maxvit", "PartitionAttentionLayer", _partition_attention),
        ("densenet", "_DenseBlock", _dense_block),
    ):
        library = sys.modules.get(f"torchvision.models.{module}")  # loaded if a network has its blocks
        if library is not None and isinstance(block, getattr(library, name)):
            return forward if getattr(block, "use_res_connect", True) else None
    return None
