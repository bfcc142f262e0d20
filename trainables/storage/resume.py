"""States of long work: work that was killed goes on instead of starting over."""

import os
import time
from pathlib import Path
from typing import Any

import torch


class Resume:
    """Saved states by name, in a folder; with no folder nothing is ever saved or found.

    A state is a dict of tensors and plain values; it is written whole or not at all, and read weights-only.
    every: seconds between two saves of the same work.
    """

    def __init__(self, folder: Path | None = None, every: float = 30.0) -> None:
        self._folder, self._every = folder, every
        self._last = time.monotonic()

    def due(self) -> bool:
        """Return whether it is time to write again."""
        return self._folder is not None and time.monotonic() - self._last >= self._every

    def read(self, name: str) -> dict[str, Any] | None:
        """Return the state last written under `name`, or None."""
        path = None if self._folder is None else self._folder / f"{name}.pt"
        if path is None or not path.exists():
            return None
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return saved

    def write(self, name: str, state: dict[str, Any]) -> None:
        """Save `state` under `name`; a crash in between leaves the state before."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = self._folder / f".{name}.{os.getpid()}"
            torch.save(state, draft)
            os.replace(draft, self._folder / f"{name}.pt")
        self._last = time.monotonic()
