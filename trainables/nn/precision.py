"""How the networks of a descent compute: in half precision, compiled. Both are off unless asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16"]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Arithmetic:
    """What `computing` lends.  compiled: by ``torch.compile``, at the first pass of each shape."""

    precision: Precision = "float32"
    compiled: bool = False


USUAL = Arithmetic()
# A context variable: each thread sees only what it lent itself.
_lent: ContextVar[Arithmetic] = ContextVar("arithmetic of descents", default=USUAL)


@contextmanager
def computing(arithmetic: Arithmetic) -> Iterator[None]:
    """Make lean copies that are made inside this context, in this thread, compute as `arithmetic` says."""
    token = _lent.set(arithmetic)
    try:
        yield
    finally:
        _lent.reset(token)


def quickened(network: Network, device: str) -> Network:
    """Return `network`, changed in place to compute as the context says wherever gradients are taken.

    Passes without gradients stay as they are: images that are returned and scores that select are float32.
    In half precision convolutions and products run in bfloat16 (``torch.autocast``), and what leaves the
    network is float32, so that losses, latents and the optimiser are, too. Of a network that is entered by
    other methods than ``forward``, ``entries`` names them all.
    """
    arithmetic = _lent.get()
    if arithmetic != USUAL:
        for name in getattr(network, "entries", ("forward",)):
            setattr(network, name, _quick(getattr(network, name), arithmetic, device))
    return network


def _quick(plain: Callable[..., Any], arithmetic: Arithmetic, device: str) -> Callable[..., Any]:
    ready: Callable[..., Any] = torch.compile(plain) if arithmetic.compiled else plain
    halved = arithmetic.precision == "bfloat16"

    def run(*inputs: Any, **knobs: Any) -> Any:
        if not torch.is_grad_enabled():
            return plain(*inputs, **knobs)
        with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=halved):
            result = ready(*inputs, **knobs)
        return result.float() if halved and isinstance(result, Tensor) else result

    return run
