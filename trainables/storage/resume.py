"""States of long work: work that was killed goes on instead of starting over."""

import time
from pathlib import Path
from typing import Any

from trainables.errors import ConfigError
from trainables.storage.disk import draft_of, load, save


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
        """Return the state last written under `name`, or None; one that is damaged is deleted, and none."""
        path = None if self._folder is None else self._folder / f"{name}.pt"
        if path is None or not path.exists():
            return None
        try:
            saved: dict[str, Any] = load(path)
        except ConfigError:
            path.unlink()
            return None
        return saved

    def write(self, name: str, state: dict[str, Any]) -> None:
        """Save `state` under `name`; a crash in between leaves the state before."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft_of(self._folder / f"{name}.pt") as draft:
                save(state, draft)
        self._last = time.monotonic()

    def forget(self, name: str) -> None:
        """Delete the state under `name`, if there is one."""
        if self._folder is not None:
            (self._folder / f"{name}.pt").unlink(missing_ok=True)


class Within(Resume):
    """The states of one part of some work, among those of the whole: under ``{part}-{name}``."""

    def __init__(self, whole: Resume, part: str) -> None:
        self._whole, self._part = whole, part

    def due(self) -> bool:
        """Return whether it is time to write again."""
        return self._whole.due()

    def read(self, name: str) -> dict[str, Any] | None:
        """Return the part's state last written under `name`, or None."""
        return self._whole.read(f"{self._part}-{name}")

    def write(self, name: str, state: dict[str, Any]) -> None:
        """Save the part's `state` under `name`."""
        self._whole.write(f"{self._part}-{name}", state)

    def forget(self, name: str) -> None:
        """Delete the part's state under `name`, if there is one."""
        self._whole.forget(f"{self._part}-{name}")
