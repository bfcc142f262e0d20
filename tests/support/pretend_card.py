"""A device that this machine has not: it computes on the CPU, and keeps a card's rules.

A tensor on ``DEVICE`` and one on the CPU do not meet in an operation, but for a scalar. Whatever makes a
program wait for a card is counted with the line that asked for it: a value read, a copy to the host, a copy
from it that is not declared ``non_blocking``, a result whose shape depends on values.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

DEVICE = "card"
aten = torch.ops.aten
COPIES = {aten._to_copy, aten.copy_}
INDEXED = {aten.index, aten.index_put_, aten.index_put, aten._index_put_impl_}
WAITING = {
    *(aten._local_scalar_dense, aten.equal, aten.is_nonzero),
    *(aten.nonzero, aten.masked_select, aten._unique2, aten.unique_dim, aten.unique_consecutive),
}

_active: list["Card"] = []
_registered: list[torch.library.Library] = []


class OnCard(Tensor):
    """A tensor that says it lies on the card; its numbers lie in `numbers`, on the CPU."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> "OnCard":
        """Return `numbers` as a tensor of the card."""
        wrapped: OnCard = Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=torch.device(DEVICE, 0),
        )
        wrapped.numbers = numbers
        return wrapped

    def __repr__(self, **_: Any) -> str:
        return f"OnCard({self.numbers!r})"

    def tolist(self) -> Any:
        """Return the numbers, which waits."""
        _wait("tolist")
        return self.numbers.detach().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


class Card(TorchDispatchMode):
    """Makes what is asked for on `DEVICE`; `waits` counts, by line of the product, what waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


@contextmanager
def pretend_card() -> Iterator[Card]:
    """Let this thread use the device `DEVICE`; give what counts the waits."""
    if not _registered:
        _setup_privateuseone_for_python_backend(DEVICE)
        _registered.append(torch.library.Library("aten", "IMPL"))
        _registered[0].impl("empty_strided", _empty_strided, "PrivateUse1")
        _registered[0].impl("_copy_from", _copy_from, "PrivateUse1")
    # backward passes stay in this thread: the card has none of its own
    with torch.autograd.set_multithreading_enabled(False), Card() as card:
        _active.append(card)
        try:
            yield card
        finally:
            _active.pop()


def _empty_strided(size: Any, stride: Any, dtype: Any = None, **_: Any) -> Tensor:
    """Return what torch makes below all modes, as where a list becomes an index."""
    return OnCard(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    """Copy as torch does below all modes."""
    _wait("a list that becomes an index")
    _plain(target).copy_(_plain(source))
    return target


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Return ``func(*args, **kwargs)``, worked out on the CPU, on the device on which a card leaves it."""
    packet = func.overloadpacket
    device = kwargs.get("device")
    asked = None if device is None else torch.device(device).type
    if packet in COPIES:
        return _copy(func, args, kwargs, asked)
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    on_card = any(isinstance(tensor, OnCard) for tensor in tensors)
    if on_card:
        _check_devices(func, packet, args, tensors)
    if asked == DEVICE:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    plain_args, plain_kwargs = tree_map(_plain, (args, kwargs))
    result = func(*plain_args, **plain_kwargs)
    if asked != DEVICE and not (on_card and asked is None):
        return result
    written = func._schema.returns[0].alias_info if len(func._schema.returns) == 1 else None
    if written is not None and written.is_write:
        return kwargs.get("out", args[0])
    return tree_map(lambda value: OnCard(value) if type(value) is Tensor else value, result)


def _check_devices(func: Any, packet: Any, args: Any, tensors: list[Tensor]) -> None:
    strangers = [tensor for tensor in tensors if not isinstance(tensor, OnCard) and tensor.ndim > 0]
    if packet in INDEXED:
        indices = [index for index in args[1] if isinstance(index, Tensor)]
        if strangers or any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            _wait(f"{packet} by a mask, or by what lies on the CPU")
    elif strangers:
        shapes = [tuple(tensor.shape) for tensor in strangers]
        raise RuntimeError(f"{func} expects all its tensors on the card; on the CPU lie {shapes}")
    if packet in WAITING:
        _wait(str(packet))


def _copy(func: Any, args: Any, kwargs: dict[str, Any], asked: str | None) -> Any:
    """Return the result of a copy: its argument `asked` names a device, or the tensor that it fills does."""
    in_place = func.overloadpacket is aten.copy_
    source, target = (args[1], args[0].device.type) if in_place else (args[0], asked or args[0].device.type)
    quiet = kwargs.get("non_blocking", len(args) > 2 and args[2])
    origin = DEVICE if isinstance(source, OnCard) else "cpu"
    if origin != target and (target == "cpu" or not quiet):
        _wait(f"a copy from {origin} to {target}")
    kwargs = {name: value for name, value in kwargs.items() if name != "device"}
    plain_args, plain_kwargs = tree_map(_plain, (args, kwargs))
    result = func(*plain_args, **plain_kwargs)
    if in_place:
        return args[0]
    return OnCard(result) if target == DEVICE else result


def _plain(value: Any) -> Any:
    return value.numbers if isinstance(value, OnCard) else value


def _wait(reason: str) -> None:
    places: list[str] = []
    frame: Any = sys._getframe(1)
    while frame is not None and len(places) < 2:
        file = frame.f_code.co_filename
        if "/trainables/" in file and "/tests/" not in file:
            places.append(f"trainables/{file.rpartition('/trainables/')[2]}:{frame.f_lineno}")
        frame = frame.f_back
    if _active:
        _active[-1].waits[f"{reason} at {' < '.join(places)}"] += 1
