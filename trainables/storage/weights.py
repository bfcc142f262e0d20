"""Weights from files: read without running any code that is in them."""

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.errors import ConfigError, MissingError
from trainables.storage.file_kinds import file_kind, is_cut_off

WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "ema",
)
PARTS = ("stages", "features")  # of networks here and in torchvision: a file of one part alone keeps its name
AVERAGED = "n_averaged"  # models that an average is of
LEARNT = ("weight", "bias", "running_mean", "running_var")  # names, after the last dot, of no whole numbers
READABLE = ("safetensors", "torch", "pickle", "unknown")


def read_weights(path: Path, where: str) -> dict[str, Tensor]:
    """Return the state dict in `path`, on the CPU: a safetensors file, or what torch saved, by its content.

    Training programs wrap it: a dict that holds it under one of `WRAPPERS` is opened, and a prefix that all
    names share is dropped, as "module." of a parallel model. where: the file's place in the user's input, for
    the error. Raises `ConfigError` for anything else, and for weights that are not dense, real and finite.
    """
    if not path.is_file():
        raise MissingError(
            f"expected a file of weights, got {str(path)!r}, which is no file ({where}); check it"
        )
    content = _content(path, where)
    state = _unwrapped(content, path, where)
    _check_dense(state, path, where)
    _check_real(state, path, where)
    _check_finite(state, path, where)
    return without_prefix(state)


def without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` without the dotted prefixes that all its names share, and without any "module.".

    The name of the last module, and that of a part such as "features", is no prefix. The count that torch's
    `AveragedModel` keeps beside its "module." is left out.
    """
    names = {str(name).removeprefix("module."): value for name, value in state.items() if name != AVERAGED}
    while names:
        split = [name.partition(".") for name in names]
        if len({first for first, _, _ in split}) > 1 or split[0][0] in PARTS:
            break
        if not all("." in rest for _, _, rest in split):
            break
        names = {rest: value for (_, _, rest), value in zip(split, names.values(), strict=True)}
    return names


def _content(path: Path, where: str) -> Any:
    """Return what the file holds, plain data and tensors."""
    expected = f"expected a state dict saved by torch or safetensors in {path} ({where}), "
    try:
        kind = file_kind(path)
    except OSError as error:
        raise ConfigError(f"{expected}which cannot be read: {error.strerror}") from None
    if kind == "torchscript":
        raise ConfigError(
            f"{expected}got a TorchScript program; it is not run: torch.jit.load it where it was made, save "
            "its state_dict()"
        )
    if kind not in READABLE:
        raise ConfigError(f"{expected}got {kind}")
    try:
        if kind == "safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings(), path.open("rb") as file:  # a file: torch goes by the suffix of a path
            warnings.simplefilter("ignore", UserWarning)  # what it warns of is an error below
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        asked = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if asked:
            raise ConfigError(
                f"expected a state dict of plain tensors in {path} ({where}), got a pickle that asks for "
                f"{asked[1]}; it is not opened, since that could run code: save model.state_dict() where the "
                "model was made"
            ) from error
        if kind == "safetensors" and is_cut_off(path):
            size = f"{path.stat().st_size:,}"
            raise ConfigError(
                f"{expected}got a cut-off safetensors file of {size} bytes; copy or download it again"
            ) from error
        if kind == "pickle":
            raise ConfigError(
                f"{expected}got a pickle that torch does not read as data; it is not opened another way, "
                "since that could run code: torch.save(model.state_dict()) where the model was made"
            ) from error
        raise ConfigError(f"{expected}which cannot be read") from error


def _unwrapped(content: Any, path: Path, where: str) -> dict[str, Tensor]:
    """Return the state dict in what a training program saved."""
    opened = content
    for _ in range(len(WRAPPERS)):
        if not isinstance(opened, Mapping) or _is_state(opened):
            break
        inside = [name for name in WRAPPERS if isinstance(opened.get(name), Mapping)]
        if not inside:
            break
        opened = opened[inside[0]]
    if isinstance(opened, Mapping) and _is_state(opened):
        _check_alone(opened, content, path, where)
        return {str(name): value for name, value in opened.items()}
    if not isinstance(opened, Mapping):
        got = type(opened).__name__
    elif not opened:
        got = "an empty dict"
    else:
        others = [
            f"{name} ({type(value).__name__})"
            for name, value in opened.items()
            if not isinstance(value, Tensor)
        ]
        got = f"a dict whose keys hold something else: {listed(others)}"
    raise ConfigError(
        f"expected a state dict of tensors in {path} ({where}), or one under {', '.join(WRAPPERS)}; got "
        f"{got}; save model.state_dict()"
    )


def _check_alone(state: Mapping[str, Tensor], content: Any, path: Path, where: str) -> None:
    """Raise `ConfigError` if other weights of the same network lie in `content` too, as an average's do."""
    own = without_prefix(state)
    saved = list(_states(content))
    mine = [keys for keys, value in saved if value is state]
    others = [keys for keys, value in saved if value is not state and _differs(own, value)]
    if others:
        names = listed([".".join(map(str, keys)) for keys in [*mine, *others]])
        one = f"torch.load({path.name!r}, weights_only=True)" + "".join(f"[{key!r}]" for key in others[0])
        raise ConfigError(
            f"expected one state dict in {path} ({where}), got the same network with different weights under "
            f"{names}; which one is meant nobody can tell: save that one alone, torch.save({one}, 'one.pt')"
        )


def _states(
    content: Any, keys: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Mapping[str, Tensor]]]:
    """Yield the state dicts in nested dicts, each with the keys that lead there.

    What an optimiser keeps for each weight is none, though it may have the names and shapes of one.
    """
    if not isinstance(content, Mapping) or len(keys) > len(WRAPPERS):
        return
    if _is_state(content):
        yield keys, content
        return
    for key, value in content.items():
        if "optim" not in str(key).lower():
            yield from _states(value, (*keys, key))


def _differs(own: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Return whether `other` are weights of the same network, and not the same weights."""
    other = without_prefix(other)
    if own.keys() != other.keys() or any(own[name].shape != other[name].shape for name in own):
        return False
    return not all(_same(own[name], other[name]) for name in own)


def _same(first: Tensor, second: Tensor) -> bool:
    if _not_dense(first) or _not_dense(second):  # cannot be compared; refused elsewhere
        return True
    return first.dtype == second.dtype and torch.equal(first, second)


def _is_state(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(value, Tensor) for value in content.values())


def _check_dense(state: Mapping[str, Tensor], path: Path, where: str) -> None:
    """Raise `ConfigError` for tensors that hold no value of each element."""
    broken = [f"{name} ({kind})" for name, value in state.items() if (kind := _not_dense(value))]
    if broken:
        raise ConfigError(
            f"expected dense tensors in {path} ({where}), got others: {listed(broken)}; save "
            "those of the network that was trained, dense (to_dense, dequantize)"
        )


def _not_dense(value: Tensor) -> str:
    if value.is_meta:
        return "meta, without values"
    if value.is_quantized:
        return "quantized"
    if value.is_nested:
        return "nested"
    return "" if value.layout == torch.strided else str(value.layout).removeprefix("torch.")


def _check_real(state: Mapping[str, Tensor], path: Path, where: str) -> None:
    """Raise `ConfigError` for complex numbers, and for weights in whole numbers: copying would change both.

    Counters, masks and indices are whole numbers rightly; they have other names.
    """
    broken = [
        f"{name} ({str(value.dtype).removeprefix('torch.')})"
        for name, value in state.items()
        if value.is_complex() or (name.rpartition(".")[2] in LEARNT and not value.is_floating_point())
    ]
    if broken:
        raise ConfigError(
            f"expected weights in floating point in {path} ({where}), got others: {listed(broken)}; save "
            "them as they were trained, not quantised or rounded"
        )


def _check_finite(state: Mapping[str, Tensor], path: Path, where: str) -> None:
    broken = [
        name
        for name, value in state.items()
        if value.is_floating_point() and not bool(torch.isfinite(value.float()).all())
    ]
    if broken:
        raise ConfigError(
            f"expected finite weights in {path} ({where}); these hold NaN or infinity: {listed(broken)}; "
            "take a checkpoint from before the training diverged"
        )


def misfits(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """Return what of `weights` does not fit a network with the state dict `expected`, "" if all does."""
    missing = [name for name in expected if name not in weights]
    surplus = [name for name in weights if name not in expected]
    shapes = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in weights and weights[name].shape != value.shape
    ]
    kinds = (("missing", missing), ("surplus", surplus), ("other shape", shapes))
    return "; ".join(f"{kind}: {listed(names)}" for kind, names in kinds if names)


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
