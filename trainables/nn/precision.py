"""Precision and compilation of the networks of a descent. Both are off unless asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

NumberFormat = Literal["float32", "bfloat16"]
AskedFormat = Literal["float32", "bfloat16", "auto"]
Network = TypeVar("Network", bound=nn.Module)


@runtime_checkable
class SeveralEntries(Protocol):
    """A network that is entered by other methods than ``forward``: `forward_methods` names them all."""

    forward_methods: ClassVar[tuple[str, ...]]


@dataclass(frozen=True)
class Precision:
    """Number format and compilation of networks where gradients are taken.

    compiled: by ``torch.compile``, at the first pass of each shape.
    """

    number_format: NumberFormat = "float32"
    compiled: bool = False


FULL_PRECISION = Precision()
# A context variable: each thread sees only what it lent itself.
_current: ContextVar[Precision] = ContextVar("precision of descents", default=FULL_PRECISION)


def number_format_on(asked: AskedFormat, device: str) -> NumberFormat:
    """Return the number format that `asked` means on `device`.

    "auto" is bfloat16 where the card, or the processor (AVX512_BF16 or AMX), computes products in it; float32
    elsewhere, and where torch cannot say.
    """
    if asked != "auto":
        return asked
    if device.startswith("cuda"):
        quick = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        abilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        quick = device == "cpu" and any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bfloat16" if quick else "float32"


@contextmanager
def precision_scope(precision: Precision) -> Iterator[None]:
    """Make lean copies that are made inside this context, in this thread, compute as `precision` says."""
    token = _current.set(precision)
    try:
        yield
    finally:
        _current.reset(token)


def apply_precision(network: Network, device: str) -> Network:
    """Return `network`, changed in place to compute as the context says wherever gradients are taken.

    Passes without gradients stay as they are: images that are returned and scores that select are float32.
    In half precision convolutions and products run in bfloat16 (``torch.autocast``), and what leaves the
    network is float32, so that losses, latents and the optimiser are, too. Of a network that is entered by
    other methods than ``forward``, ``forward_methods`` names them all.
    """
    precision = _current.get()
    if precision != FULL_PRECISION:
        names = network.forward_methods if isinstance(network, SeveralEntries) else ("forward",)
        for name in names:
            setattr(network, name, _quick(getattr(network, name), precision, device))
    return network


def _quick(plain: Callable[..., Any], precision: Precision, device: str) -> Callable[..., Any]:
    ready: Callable[..., Any] = torch.compile(plain) if precision.compiled else plain
    halved = precision.number_format == "bfloat16"

    def run(*inputs: Any, **knobs: Any) -> Any:
        if not torch.is_grad_enabled():
            return plain(*inputs, **knobs)
        with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=halved):
            result = ready(*inputs, **knobs)
        return result.float() if halved and isinstance(result, Tensor) else result

    return run
