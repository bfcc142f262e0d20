"""Weights from files: read without running any code that is in them."""

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.errors import ConfigError


def read_weights(path: Path, where: str) -> dict[str, Tensor]:
    """Return the state dict in `path`, on the CPU: a .safetensors file, or what torch saved.

    A dict that holds it under "state_dict" is opened, and the prefix "module." of a parallel model dropped.
    where: the file's place in the user's input, for the error. Raises `ConfigError` for anything else.
    """
    if not path.is_file():
        raise ConfigError(
            f"expected a file of weights, got {str(path)!r}, which is no file ({where}); check it"
        )
    saved: Any
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            saved = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # what it warns of is an error below
                saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        asked = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if asked:
            raise ConfigError(
                f"expected a state dict of plain tensors in {path} ({where}), got a pickle that asks for "
                f"{asked[1]}; it is not opened, since that could run code: save model.state_dict() where the "
                "model was made"
            ) from error
        raise ConfigError(
            f"expected a state dict saved by torch or safetensors in {path} ({where}), which cannot be read"
        ) from error
    if isinstance(saved, dict) and isinstance(saved.get("state_dict"), dict):
        saved = saved["state_dict"]
    if not isinstance(saved, dict) or not all(isinstance(value, Tensor) for value in saved.values()):
        raise ConfigError(f"expected a state dict of tensors in {path} ({where}), got {type(saved).__name__}")
    return {str(name).removeprefix("module."): value for name, value in saved.items()}


def listed(names: list[str], most: int = 4) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
