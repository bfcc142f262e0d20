"""Skip connections of blocks that are there already, scaled in place; no weight changes its name.

A residual block gives F(x) + factor · shortcut(x), before whatever follows the sum: 1 is the block as it was,
0 one without its skip. A dense block keeps the first round(factor · channels) of the channels that it had
before each of its layers, so that 0 leaves it the newest ones alone. `restore_gradients` gives back the slope
that a whole skip has, and leaves what a block computes as it is.
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
    """A shortcut, and what it gives times `factor`; empty, it is x itself. restored: see `_scaled`."""

    factor: float = 1.0
    restored: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Return factor · shortcut(x)."""
        y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return _scaled(y, self.factor, self.restored)


def scale_skips(network: nn.Module, factor: float) -> int:
    """Scale every skip of `network` by `factor`, in [0, 1]; return how many blocks with one there are.

    May be called again, also on a copy: the last factor counts. Weights of a shortcut with the factor 0 stay
    where they are, without gradient.
    """
    return sum(_scale(block, factor) for block in list(network.modules()))


def restore_gradients(network: nn.Module) -> None:
    """Give each scaled skip of `network` the gradient of the whole one; outputs stay as they are."""
    for block in network.modules():
        if isinstance(block, ScaledShortcut) or hasattr(block, "skip"):
            block.restored = True  # type: ignore[assignment]


def _scaled(x: Tensor, factor: float, restored: bool) -> Tensor:
    """Return factor · x, with the gradient of x itself if `restored`."""
    y = x * factor
    return y + (1 - factor) * (x - x.detach()) if restored else y


def _scale(block: nn.Module, factor: float) -> bool:
    for name, beside in SHORTCUTS:
        if hasattr(block, name) and hasattr(block, beside):
            _scale_shortcut(block, name, factor)
            return True
    forward = _forward_of(block)
    if forward is None:
        return False
    block.skip, block.restored = factor, False  # type: ignore[assignment]
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
    y: Tensor = _scaled(x, block.skip, block.restored) + block.conv(x)
    return y


def _encoder_block(block: Any, x: Tensor) -> Tensor:
    """Return what torchvision's does; the skip around its MLP alone is scaled, as published."""
    normal = block.ln_1(x)
    x = x + block.dropout(block.self_attention(normal, normal, normal, need_weights=False)[0])
    y: Tensor = _scaled(x, block.skip, block.restored) + block.mlp(block.ln_2(x))
    return y


def _partition_attention(block: Any, x: Tensor) -> Tensor:
    rows, columns = (side // block.p for side in block.grid_size)
    x = block.partition_swap(block.partition_op(x, block.p))
    x = _scaled(x, block.skip, block.restored) + block.stochastic_dropout(block.attn_layer(x))
    x = _scaled(x, block.skip, block.restored) + block.stochastic_dropout(block.mlp_layer(x))
    y: Tensor = block.departition_op(block.departition_swap(x), block.p, rows, columns)
    return y


def _dense_block(block: Any, x: Tensor) -> Tensor:
    """Return all maps, those that were dropped as zeros: layers keep their shapes, and pre-trained weights.

    The published code leaves them out, which needs other shapes and training from scratch. What zeros become
    in a batch norm is a constant that the next batch norm takes away.
    """
    maps, kept = [x], [x.shape[1]]
    for layer in block.values():
        new = layer(_regained(maps, kept, layer.norm1) if block.restored else _padded(maps, kept))
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


def _regained(maps: list[Tensor], kept: list[int], norm: nn.BatchNorm2d) -> list[Tensor]:
    """Return what `_padded` does, the zeros with the gradient of the maps in their place.

    A norm that met zeros alone divides by nearly nothing, so its slope is taken at a spread of 1 at least.
    """
    assert norm.running_var is not None
    spread = (norm.running_var + norm.eps).sqrt().clamp(max=1)[:, None, None]
    slopes = torch.split(spread, [x.shape[1] for x in maps])
    return [
        torch.cat((x[:, :count], slope[count:] * (x[:, count:] - x[:, count:].detach())), 1)
        for x, count, slope in zip(maps, kept, slopes, strict=True)
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
