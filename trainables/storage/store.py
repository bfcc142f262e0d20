"""Finished stages on disk, under a key made of everything that went into them.

A stage is a folder ``<root>/<stage>/<key>/`` that appears at once and complete, with ``result.json`` (what
the stage reports) and ``key.json`` (what went in) inside. Whoever asks for a stage that exists gets it; who
asks while another process makes it waits for it. A killed process leaves nothing that counts as finished, and
neither does a power cut.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from trainables.storage.cache_folder import use_folder
from trainables.storage.disk import disk_errors as disk_errors
from trainables.storage.disk import remove, sync
from trainables.storage.machine import Machine, noted_machine
from trainables.storage.remote import RemoteStore, remote_here

Make = Callable[[Path], dict[str, Any]]

SHARED = ".shared"  # in the folder of a stage: the mirror has it


def to_json(value: Any) -> Any:
    """Return `value` as JSON-ready data; a dataclass becomes ``{"kind": its kind, **its fields}``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        kind = getattr(value, "kind", None)
        return {"kind": kind, **fields} if kind is not None else fields
    if isinstance(value, dict):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value


def content_key(**parts: Any) -> str:
    """Return 20 hex digits that change when any part changes. Parts are dataclasses or JSON-ready data."""
    text = json.dumps(to_json(parts), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclasses.dataclass(frozen=True)
class Stage:
    """A finished stage: its folder, what it reported, the seconds it took when it was made."""

    path: Path
    result: dict[str, Any]
    seconds: float
    made_now: bool

    @property
    def key(self) -> str:
        """Return the content key that the stage lies under, to name it in the parts of a later stage."""
        return self.path.name

    @property
    def machine(self) -> Machine | None:
        """Return on what it was made; None where that was not noted, as of older stages."""
        return noted_machine(self.path)


@dataclasses.dataclass(frozen=True)
class Store:
    """The folder of finished stages. Safe to share among processes and, on a shared disk, nodes.

    mirror: where machines without a shared disk find each other's stages. A stage is then looked for here,
    then there, then made, and uploaded. Only processes of one machine wait for each other: what two machines
    need at the same moment both make.
    """

    root: Path
    remote: RemoteStore | None = dataclasses.field(default_factory=remote_here)

    def __post_init__(self) -> None:
        use_folder(self.root.parent / "cache")  # whoever keeps stages here keeps large data sets beside them

    def find(self, stage: str, key: str) -> Stage | None:
        """Return the finished stage, or None; one that is damaged counts as not there, and is made again."""
        path = self.root / stage / key
        try:
            record = json.loads((path / "result.json").read_text())
            return Stage(path, record["result"], record["seconds"], made_now=False)
        except PermissionError:
            raise  # it may be whole
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def get(self, stage: str, parts: dict[str, Any], make: Make) -> Stage:
        """Return the stage for `parts`, made by ``make(folder) -> result`` if nobody has made it yet."""
        key = content_key(**parts)
        result = self.find(stage, key)
        if result and self._is_shared(result):
            return result
        with self._alone(stage, key):
            result = self.find(stage, key) or self._pull(stage, key) or self._make(stage, key, parts, make)
            if self.remote is not None and not self._is_shared(result):
                self.remote.push(stage, key, result.path)
                (result.path / SHARED).touch()
            return result

    def fetch(self, stage: str, key: str) -> Stage | None:
        """Return the finished stage, copied here if another machine has made it, or None."""
        result = self.find(stage, key)
        if result or self.remote is None:
            return result
        with self._alone(stage, key):
            return self.find(stage, key) or self._pull(stage, key)

    def _is_shared(self, result: Stage) -> bool:
        return self.remote is None or (result.path / SHARED).exists()

    @contextmanager
    def _alone(self, stage: str, key: str) -> Iterator[None]:
        parent = self.root / stage
        with disk_errors(self.root):
            parent.mkdir(parents=True, exist_ok=True)
            with FileLock(parent / f"{key}.lock"):
                for leftover in parent.glob(f".{key}-*"):  # of a killed process: we hold the lock
                    shutil.rmtree(leftover, ignore_errors=True)
                yield

    def _pull(self, stage: str, key: str) -> Stage | None:
        if self.remote is None:
            return None
        draft = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=self.root / stage))
        try:
            if not self.remote.pull(stage, key, draft):
                return None
            (draft / SHARED).touch()
            self._finish(draft, self.root / stage / key)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return self.find(stage, key)

    def _make(self, stage: str, key: str, parts: dict[str, Any], make: Make) -> Stage:
        parent = self.root / stage
        draft = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=parent))
        try:
            start = time.perf_counter()
            result = make(draft)
            seconds = time.perf_counter() - start
            (draft / "key.json").write_text(json.dumps(to_json(parts), indent=1, sort_keys=True))
            (draft / "result.json").write_text(json.dumps({"result": to_json(result), "seconds": seconds}))
            self._finish(draft, parent / key)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return Stage(parent / key, json.loads(json.dumps(to_json(result))), seconds, made_now=True)

    def _finish(self, draft: Path, place: Path) -> None:
        """Let the stage in `draft` count as finished; what lies at `place` is damaged, see `find`."""
        sync(draft)
        remove(place)
        os.replace(draft, place)
