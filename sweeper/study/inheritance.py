"""Studies that extend others: ``extends: NAME`` in a file, and what the file and its parent say together."""

from pathlib import Path
from typing import Any

from sweeper.study.presets import find_preset, preset_files
from trainables.errors import ConfigError
from trainables.storage.documents import expand_home, read_yaml, suggestion


def read_study(path: Path) -> dict[str, Any]:
    """Return the mapping in a study file, merged over that of the study it extends, over its parent's, ...

    ``extends`` is the name of a preset, or a path relative to the file. The parent's ``name`` is not taken
    over. Raises `ConfigError` naming the file for an unknown parent and for a study that extends itself.
    """
    return _read(path, ())


def merged(
    parent: dict[str, Any], child: dict[str, Any], origin: str = "its parent", place: str = ""
) -> dict[str, Any]:
    """Return `child` over `parent`: mappings merge key by key, lists and scalars of the child replace.

    Where the child's mapping has another ``kind``, nothing of the parent's mapping is left behind. origin,
    place: what the parent is called and where the child's mapping stands, for `ConfigError`, which is raised
    for a mapping without ``kind`` in the place of a list of attacks or judges: it reads as a change of them.
    """
    if "kind" in child and child["kind"] != parent.get("kind"):
        parent = {}
    together = dict(parent)
    for key, value in child.items():
        base, here = parent.get(key), f"{place}{key}"
        together[key] = value
        if isinstance(base, dict) and isinstance(value, dict):
            together[key] = merged(base, value, origin, f"{here}.")
        elif isinstance(value, dict) and "kind" not in value and (count := _of_kinds(base)):
            raise ConfigError(
                f"{key} of {origin} is a list of {count}, and a mapping replaces it whole: give its kind; "
                f"got {value!r} ({here})"
            )
    return together


def _of_kinds(value: Any) -> int:
    """Return how many mappings that name their kind, as attacks and judges do, `value` lists; 0 if others."""
    listed = value if isinstance(value, list) else []
    return len(listed) if all(isinstance(item, dict) and "kind" in item for item in listed) else 0


def inherited_space(path: Path) -> str | None:
    """Return the study that `path` extends and takes its ``space`` from; None where it has one of its own."""
    document = read_yaml(path)
    return str(document["extends"]) if "extends" in document and "space" not in document else None


def _read(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    """Return the merged mapping of `path`; `children`: the files on the way here, the first one first."""
    document = read_yaml(path)
    if "extends" not in document:
        return document
    reference = document.pop("extends")
    parent = _parent(reference, path)
    line = (*children, path)
    if parent.resolve() in {child.resolve() for child in line}:
        chain = " -> ".join(child.name for child in (*line, parent))
        raise ConfigError(f"a study must not extend itself; got {chain} ({path}: extends)")
    inherited = _read(parent, line)
    inherited.pop("name", None)
    return merged(inherited, document, reference, f"{path}: ")


def _parent(reference: Any, path: Path) -> Path:
    """Return the file that ``extends: reference`` in `path` names."""
    presets = preset_files()
    if isinstance(reference, str) and reference:
        known = find_preset(reference)
        if known is not None:
            return known
        if (path.parent / expand_home(reference)).is_file():
            return path.parent / expand_home(reference)
    raise ConfigError(
        f"extends must be a preset ({', '.join(presets)}) or the path of a study, relative to this one; "
        f"got {reference!r}{suggestion(str(reference), presets)} ({path}: extends)"
    )
