"""timm where it is installed: the extra ``timm``."""

import importlib
from typing import Any

from trainables.errors import MissingError


def import_timm(architecture: str) -> Any:
    """Return the module timm; raise `MissingError` naming the extra if it is not installed."""
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise MissingError(
            f"architecture '{architecture}' expects timm, the extra 'timm' of this package; got: {error}; "
            "install it with pip install 'inversion-sweeper[timm]', or choose another architecture"
        ) from None
