"""A device that this machine has not: it computes on the CPU, and keeps a card's rules.

A tensor on ``DEVICE`` and one on the CPU do not meet in an operation, but for a scalar. Whatever makes a program
wait for a card is counted with the line that asked for it: a value read, a copy to the host, a copy from it that
is not declared to be ``non_blocking``, a result whose shape depends on values.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

DEVICE = "card"
aten = torch.ops.aten
READS = {aten._local_scalar_dense, aten.equal, aten.is_nonzero, aten.item}
SHAPED_BY_VALUES = {aten.nonzero, aten.masked_select, aten._unique2, aten.unique_dim, aten.unique_consecutive}
COPIES = {aten._to_copy, aten.copy_, aten.copy}
_registered: list[torch.library.Library] = []


class OnCard(Tensor):
    """A tensor that says it lies on the card; its numbers lie in `numbers`, on the CPU."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> "OnCard":
        """Return `numbers` as a tensor of the card."""
        made: OnCard = Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=torch.device(DEVICE, 0),
        )
        made.numbers = numbers
        return made

    def __repr__(self, **_: Any) -> str:
        return f"OnCard({self.numbers!r})"

    def tolist(self) -> Any:
        """Return the numbers, which waits."""
        _wait("tolist")
        return self.numbers.detach().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class Card(TorchDispatchMode):
    """Makes what is asked for on `DEVICE`; `waits` counts, by line of the product, what waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


_active: list[Card] = []


@contextmanager
def pretend_card() -> Iterator[Card]:
    """Let this thread use the device `DEVICE`; give what counts the waits."""
    if not _registered:
        _setup_privateuseone_for_python_backend(DEVICE)
        _registered.append(torch.library.Library("aten", "IMPL"))
        _registered[0].impl("empty_strided", _empty_strided, "PrivateUse1")
        _registered[0].impl("_copy_from", _copy_from, "PrivateUse1")
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


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Return ``func(*args, **kwargs)``, worked out on the CPU, on the device on which a card would leave it."""
    packet = func.overloadpacket
    leaves, _ = tree_flatten((args, kwargs))
    given = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    on_card = any(isinstance(leaf, OnCard) for leaf in given)
    device = kwargs.get("device")
    wanted = None if device is None else torch.device(device).type
    if packet in COPIES:
        return _copy(func, packet, args, kwargs, wanted)
    if on_card:
        strange = [t for t in given if not isinstance(t, OnCard) and t.ndim > 0]
        indices = packet in (aten.index, aten.index_put_, aten.index_put, aten._index_put_impl_)
        if strange and not indices:
            raise RuntimeError(
                f"{func}: tensors of the card and of the CPU meet, {[tuple(t.shape) for t in strange]}"
            )
        if strange:
            _wait(f"{packet} by indices on the CPU")
        if packet in READS:
            _wait(str(packet))
        if packet in SHAPED_BY_VALUES:
            _wait(str(packet))
        if indices and any(t.dtype in (torch.bool, torch.uint8) for t in _indices(args)):
            _wait(f"{packet} by a mask")
    kwargs = dict(kwargs)
    if wanted == DEVICE:
        kwargs["device"] = torch.device("cpu")
    generator = kwargs.get("generator")
    plain_args, plain_kwargs = tree_map(_plain, (args, kwargs))
    with torch._C._DisableTorchDispatch() if False else _below():
        result = func(*plain_args, **plain_kwargs)
    del generator
    to_card = wanted == DEVICE or (on_card and wanted is None)
    if not to_card:
        return result
    return _wrapped(func, args, result)


@contextmanager
def _below() -> Iterator[None]:
    yield


def _indices(args: Any) -> list[Tensor]:
    return [t for t in (args[1] or []) if isinstance(t, Tensor)]


def _plain(value: Any) -> Any:
    return value.numbers if isinstance(value, OnCard) else value


def _wrapped(func: Any, args: Any, result: Any) -> Any:
    """Return `result` on the card; what an operation writes in place is the tensor that it was given."""
    written = [
        value
        for value, declared in zip(args, func._schema.arguments, strict=False)
        if declared.alias_info is not None and declared.alias_info.is_write
    ]
    returns = func._schema.returns
    if returns and returns[0].alias_info is not None and returns[0].alias_info.is_write and len(returns) == 1:
        return written[0] if written else result

    return tree_map(lambda value: OnCard(value) if type(value) is Tensor else value, result)


def _copy(func: Any, packet: Any, args: Any, kwargs: dict[str, Any], wanted: str | None) -> Any:
    if packet is aten._to_copy:
        source, target = args[0], wanted or args[0].device.type
        quiet = kwargs.get("non_blocking", False)
    else:
        source, target = args[1], args[0].device.type
        quiet = args[2] if len(args) > 2 else kwargs.get("non_blocking", False)
    origin = "cpu" if not isinstance(source, OnCard) else DEVICE
    if origin != target and (target == "cpu" or not quiet):
        _wait(f"{packet} from {origin} to {target}")
    kwargs = {name: value for name, value in kwargs.items() if name != "device"}
    plain_args, plain_kwargs = tree_map(_plain, (args, kwargs))
    result = func(*plain_args, **plain_kwargs)
    if packet is aten.copy_:
        return args[0]
    if origin != target and result is plain_args[0]:
        result = result.clone()
    return OnCard(result) if target == DEVICE else result


def _wait(what: str) -> None:
    if not _active:
        return
    frame = sys._getframe(1)
    places = []
    while frame is not None:
        name = frame.f_code.co_filename
        if "/trainables/" in name and "/tests/" not in name:
            places.append(f"trainables/{name.rpartition('/trainables/')[2]}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment]
    _active[-1].waits[f"{what} at {' < '.join(places[:2])}"] += 1
