"""Content of the files that a configuration names: a content key follows the bytes, not the path."""

import dataclasses
from pathlib import Path
from typing import Any

from trainables.method import FILE, LATER, NAMED, STATED, Method, knobs_marked
from trainables.storage.digests import digest
from trainables.storage.store import to_json


def with_content(knobs: Any, memory: Path | None = None) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON-ready data, file knobs replaced by a digest of what is there.

    A file counts by its bytes, a folder by the names and bytes of all files in it; memory: a folder in which
    digests of the latter are remembered. "" is no path, and one that does not exist stays as it is: whoever
    reads it says what is missing. A method's version, and that of a method whose name a knob holds, counts
    from 2 on, and a later knob where it is not at its default, so that none of them changes keys of what was
    stored before. A stated knob never counts.
    """
    content: dict[str, Any] = {"kind": knobs.kind if isinstance(knobs, Method) else type(knobs).__name__}
    content |= named_versions(knobs)
    version = knobs.version if isinstance(knobs, Method) else 1  # read once: it may ask what lies in a folder
    if version != 1:
        content["version"] = version
    files, later, stated = (knobs_marked(knobs, mark) for mark in (FILE, LATER, STATED))
    for field in dataclasses.fields(knobs):
        value = getattr(knobs, field.name)
        if field.name in stated or (field.name in later and value == field.default):
            continue
        if dataclasses.is_dataclass(value):
            content[field.name] = with_content(value, memory)
        elif field.name in files and isinstance(value, str) and value and Path(value).exists():
            content[field.name] = digest(Path(value), memory)
        else:
            content[field.name] = to_json(value)
    return content


def named_versions(knobs: Any) -> dict[str, dict[str, int]]:
    """Return ``{"versions": {name: version}}`` of the methods that `knobs` names, {} if all are the first.

    Knobs that are dataclasses themselves are left out: `with_content` looks into each.
    """
    versions: dict[str, int] = {}
    for field in dataclasses.fields(knobs):
        registry = field.metadata.get(NAMED, {})
        value = getattr(knobs, field.name)
        for name in (value,) if isinstance(value, str) else value if registry else ():
            if name in registry and registry[name].version != 1:
                versions[name] = registry[name].version
    return {"versions": versions} if versions else {}
