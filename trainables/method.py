"""Base of all methods: a frozen dataclass of its knobs, with a name, a summary, a source and a version."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Method:
    """The base of all nine families: architectures, attacks, data sets, defenses, judges and the others.

    Attributes:
        kind: its name in study files, and in the registry of its family.
        summary: one line for ``sweeper list``.
        source: the paper, or "this project".
        version: raise it when a change of the code changes what the method computes. It enters the content
            keys of this method's own results, so that those of no other method are made again; also where a
            knob of another method names it, as a target names its architecture (`named_knob`).
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    version: ClassVar[int] = 1


# Marks that a field of a method can carry. Content keys, paths and screening follow from it.

FILE = "file"
LENGTH = "length"
LATER = "later"
NAMED = "named"
STATED = "stated"


def file_knob(default: Any = dataclasses.MISSING) -> Any:
    """Return a field that holds the path of a file or folder.

    A relative path is made absolute before work starts elsewhere, and a content key holds a digest of what
    lies there instead of the path.
    """
    return _knob(default, FILE)


def length_knob(default: Any = dataclasses.MISSING) -> Any:
    """Return a field that counts the steps of an attack: a screening attack takes a share of them."""
    return _knob(default, LENGTH)


def later_knob(default: Any) -> Any:
    """Return a field that came when results were stored already: at its default it enters no content key."""
    return _knob(default, LATER)


def stated_knob(default: Any) -> Any:
    """Return a field in which the user states something of a file, for warnings: it decides nothing that is
    computed, and enters no content key whatever it says."""
    return _knob(default, STATED)


def named_knob(registry: Mapping[str, Any], default: Any = dataclasses.MISSING) -> Any:
    """Return a field that holds the name of a method in `registry`, or a tuple of names.

    The versions of the methods that it names enter its content key. Other names may stand beside them.
    """
    return dataclasses.field(default=default, metadata={NAMED: registry})


def knobs_marked(method: Any, mark: str) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass (or of its instance) that carry `mark`, in order."""
    return tuple(field.name for field in dataclasses.fields(method) if field.metadata.get(mark))


def length_share(method: Any, share: float) -> dict[str, int]:
    """Return the knobs that say how long an attack runs, for `share` of its steps, rounded up; at least 1."""
    return {name: max(1, math.ceil(share * getattr(method, name))) for name in knobs_marked(method, LENGTH)}


def _knob(default: Any, mark: str) -> Any:
    return dataclasses.field(default=default, metadata={mark: True})
