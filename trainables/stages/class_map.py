"""Class maps: which class of somebody's target means whom, as people write it down, matched by name."""

import itertools
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from trainables.architectures.base import Classifier
from trainables.errors import ConfigError
from trainables.storage.weights import listed

_LABEL, _BETWEEN = r"""(?P<quote>["']?)(?P<label>\d+)(?P=quote)""", r"(?:\s*[,;:]\s*|\s+)"
_FIRST = re.compile(f"{_LABEL}{_BETWEEN}(?P<name>.+)")
_LAST = re.compile(f"(?P<name>.+?){_BETWEEN}{_LABEL}")

IN_FOLDER = "labels.json"  # of an exported target
BESIDE = f"{IN_FOLDER} of an exported target; mend it, or give another file with --labels"


def read_class_map(path: Path, where: str = "--labels") -> tuple[str, ...]:
    """Return the names of a target's classes, in the order of its labels, from the file at `path`.

    JSON: a list of names, or a mapping of names to labels or of labels to names, labels from 0; or an object
    with such members ("class_to_idx", "classes") that all say the same. Text: a name on each line, in order;
    or a label and a name on each, in either order, with a comma, a semicolon, a colon or blanks between.
    Quotes around either, as in CSV, and the dashes of a YAML list are left out.
    where: what named the file, for the error. Raises `ConfigError` for anything else, and for names or labels
    that come twice or are left out.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"expected a class map, JSON or text, at {path}: {reason} ({where})") from None
    if text.lstrip()[:1] in ("[", "{"):
        try:
            content = json.loads(text, object_pairs_hook=_Pairs)
        except ValueError as error:
            raise ConfigError(f"expected JSON in {path}, got: {error} ({where})") from None
        pairs = _of_json(content)
    else:
        pairs = _of_lines([line.strip() for line in text.splitlines() if line.strip()])
    if pairs is None or not pairs:
        raise ConfigError(
            f"expected in {path} a list of names, or names with their labels, got neither ({where})"
        )
    columns: list[tuple[str, list[Any]]] = [
        ("name", [name for _, name in pairs]),
        ("label", [label for label, _ in pairs]),
    ]
    for what, values in columns:
        twice = sorted({str(value) for value in values if values.count(value) > 1})
        if twice:
            raise ConfigError(f"expected every {what} once in {path}, got twice: {listed(twice)} ({where})")
    if sorted(label for label, _ in pairs) != list(range(len(pairs))):
        raise ConfigError(
            f"expected labels from 0 to {len(pairs) - 1} in {path}, got some from "
            f"{min(pairs)[0]} to {max(pairs)[0]} ({where})"
        )
    return tuple(name for _, name in sorted(pairs))


def folder_labels(path: Path) -> tuple[str, ...] | None:
    """Return the names in the `labels.json` of the exported target at `path`, its folder or its weights."""
    file = (path if path.is_dir() else path.parent) / IN_FOLDER
    return read_class_map(file, BESIDE) if file.is_file() else None


def class_order(labels: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return, for each of the private people `names`, the class of the target that means them.

    labels: names of the target's classes, in order. Names are the same if they are so without regard to case,
    accents' encoding, and what stands between words. Raises `ConfigError` unless both are the same people.
    """
    position = {label: number for number, label in enumerate(labels)}
    if not all(name in position for name in names):
        position = {_key(label): number for number, label in enumerate(labels)}
        keys = [_key(name) for name in names]
        if len(position) < len(labels) or len(set(keys)) < len(names):
            position, keys = {label: number for number, label in enumerate(labels)}, list(names)
    else:
        keys = list(names)
    absent = [name for name, key in zip(names, keys, strict=True) if key not in position]
    known = set(keys)
    surplus = [label for label, key in zip(labels, position, strict=True) if key not in known]
    if absent or surplus:
        problems = [
            *([f"no class of {listed(absent)}"] if absent else []),
            *([f"classes of people without private images: {listed(surplus)}"] if surplus else []),
        ]
        raise ConfigError(
            f"expected the target's {len(labels)} classes to be the {len(names)} private people; got "
            f"{'; '.join(problems)} (--labels or {IN_FOLDER}, private); give the map of this target, and its "
            "people's images"
        )
    return [position[key] for key in keys]


def reorder(classifier: Classifier, order: Sequence[int]) -> None:
    """Make class k of `classifier` what its class ``order[k]`` was, in place."""
    layer = [module for module in classifier.head.modules() if isinstance(module, nn.Linear)][-1]
    for values in (layer.weight, layer.bias):
        if values is not None:
            values.data = values.data[list(order)].clone()


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, those given twice included."""


def _of_json(content: Any) -> list[tuple[int, str]] | None:
    if not isinstance(content, _Pairs):
        return list(enumerate(content)) if all(isinstance(name, str) for name in content) else None
    if all(type(label) is int for _, label in content):
        return [(label, name) for name, label in content]
    if all(label.isdecimal() and isinstance(name, str) for label, name in content):
        return [(int(label), name) for label, name in content]
    inside = [sorted(pairs) for _, value in content if isinstance(value, list) and (pairs := _of_json(value))]
    return inside[0] if inside and all(pairs == inside[0] for pairs in inside) else None


def _of_lines(lines: list[str]) -> list[tuple[int, str]]:
    """Return label and name of each line: pairs of both, below a header or not, or names alone in order."""
    below = lines[1:] if len(lines) > 2 else []
    for rows, first in itertools.product((lines, below), (True, False)):
        split = [_halves(line, first) for line in rows]
        names, labels = {name for _, name in split}, [label for label, _ in split]
        numbered = len(split) > 1 and len(names) == 1  # "person 0", "person 1", ... are names
        if (
            all(label.isdecimal() and name for label, name in split)
            and set(map(int, labels)) == set(range(len(rows))) != set()
            and not numbered
        ):
            return [(int(label), name) for label, name in split]
    dash = "- " if all(line.startswith("- ") for line in lines) else ""
    return list(enumerate(_bare(line.removeprefix(dash).strip()) for line in lines))


def _halves(line: str, first: bool) -> tuple[str, str]:
    """Return the label and the name of a line whose label comes first or last, ("", "") of any other line."""
    halves = (_FIRST if first else _LAST).fullmatch(line)
    return (halves["label"], _bare(halves["name"])) if halves else ("", "")


def _bare(name: str) -> str:
    """Return a name without the quotes that CSV and YAML may put around it."""
    quoted = re.fullmatch(r"""(["'])(.*)\1""", name)
    return quoted[2].replace(2 * quoted[1], quoted[1]) if quoted else name


def _key(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in folded if character.isalnum())
