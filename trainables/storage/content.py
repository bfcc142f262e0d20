"""Content of the files that a configuration names: a content key follows the bytes, not the path."""

import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import Any

from trainables.method import FILE, LATER, Method, knobs_marked
from trainables.storage.store import to_json


def with_content(knobs: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON-ready data, file knobs replaced by a digest of what is there.

    A file counts by its bytes, a folder by the names and sizes of all files in it. A path that does not
    exist stays as it is: whoever reads it says what is missing. A method's version counts from 2 on, and a
    later knob where it is not at its default, so that neither changes the keys of what was stored before.
    """
    content: dict[str, Any] = {"kind": knobs.kind if isinstance(knobs, Method) else type(knobs).__name__}
    if isinstance(knobs, Method) and knobs.version != 1:
        content["version"] = knobs.version
    files, later = knobs_marked(knobs, FILE), knobs_marked(knobs, LATER)
    for field in dataclasses.fields(knobs):
        value = getattr(knobs, field.name)
        if field.name in later and value == field.default:
            continue
        if dataclasses.is_dataclass(value):
            content[field.name] = with_content(value)
        elif field.name in files and isinstance(value, str) and Path(value).exists():
            content[field.name] = _digest(Path(value))
        else:
            content[field.name] = to_json(value)
    return content


def _digest(path: Path) -> str:
    if path.is_dir():
        listing = sorted((str(p.relative_to(path)), p.stat().st_size) for p in path.rglob("*") if p.is_file())
        return hashlib.sha256(repr(listing).encode()).hexdigest()
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _file_digest(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
