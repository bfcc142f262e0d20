"""Read a pickle as inert data: none of its classes are made, none of its functions are called.

A pickle is a program: reading one in the usual way runs whatever its author put in. Here the only things that
a pickle can name are those of a short list, each replaced by a function that returns plain data; any other
name is refused before anything is done with it.
"""

import collections
import io
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.errors import ConfigError, MissingError


@dataclass
class Inert:
    """Remainder of a pickled object: the name of its class and its attributes."""

    name: str = "?"
    state: dict[str, Any] = field(default_factory=dict)


class Refused(ConfigError):
    """A pickle names what data does not need.  name: of the first such thing, with its module."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(
            f"expected a pickle of plain data and tensors in {path}; it asks for {name}, which was not run; "
            "take the file from its publisher"
        )
        self.name = name


def read(path: Path, kind: str) -> Any:
    """Return the data in the pickle at `path`: dicts, lists, numbers, strings, tensors and `Inert`.

    kind: what the file should be, for the message. Raises ConfigError if there is no file, if it is no
    pickle, or if it names anything that data does not need.
    """
    try:
        with path.open("rb") as file, torch.device("cpu"):
            return _Reader(file, path).load()
    except (FileNotFoundError, IsADirectoryError):
        raise MissingError(f"expected {kind}, found no file at {path}; check the path") from None
    except ConfigError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"expected {kind} in {path}, got: {text}") from None


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    rebuild: Any = torch._utils._rebuild_tensor_v2
    rebuilt: Tensor = rebuild(storage, offset, size, stride, False, {})
    return rebuilt


def _parameter(data: Tensor, *_: Any) -> Tensor:
    return data


def _storage(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _persistent(meta: dict[str, Any]) -> Inert:
    return Inert(str(meta["class_name"]), dict(meta["state"]))


class _NumberType:
    """The type of a NumPy number, as its code: "f8", "i8", …"""

    def __init__(self, code: str, *_: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Take the byte order, of which only the usual one is written."""


def _number(kind: _NumberType, data: bytes) -> float | int | bool:
    codes = {"f8": "d", "f4": "f", "i8": "q", "i4": "i", "b1": "?"}
    value: float | int | bool = struct.unpack("<" + codes[kind.code], data)[0]
    return value


# Names that a pickled network may hold, and what is called in their place.
ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "set"): set,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent,
    ("dnnlib.util", "EasyDict"): dict,
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "scalar"): _number,
    ("numpy._core.multiarray", "scalar"): _number,
}


class _Reader(pickle.Unpickler):
    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return what is called in the place of ``module.name``."""
        allowed = ALLOWED.get((module, name))
        if allowed is None:
            raise Refused(f"{module}.{name}", self._path)
        return allowed
