"""Documents before they mean anything: read YAML, merge values at dotted paths, guess a misspelt name."""

import copy
import difflib
import os
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainables.errors import ConfigError
from trainables.storage.strict_yaml import PLAIN_NUMBER, parse_yaml

FILE_KNOBS = ("path", "root")  # by convention, a knob of such a name holds the path of a file or folder


def expand_home(path: str) -> str:
    """Return `path` with a leading ~ or ~name as that home, as a shell would; unchanged if there is none."""
    return os.path.expanduser(path)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, see `parse_yaml`; raise ConfigError if it is missing or is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"expected a YAML file, found nothing at {path}; check the path") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"expected YAML in {path}, got text that is not UTF-8 (byte 0x{error.object[error.start]:02x} in "
            f"line {line}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"expected YAML in {path}, got: {' '.join(str(error).split())}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError(
            f"expected YAML in {path}, got a character of zeros, as UTF-16 has them (line {line}); save it "
            "as UTF-8"
        )
    content = parse_yaml(text, str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"expected a mapping of names to values in {path}, got {type(content).__name__}")
    return content


def merge(document: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `document` with each dotted path of `params` set.

    An item of a list is named by its index, as in ``attack.0.iterations``; ``attack.0`` is the whole item.
    A changed ``….kind`` starts that part afresh, so that no knob of the old kind is left behind.
    """
    merged: dict[str, Any] = copy.deepcopy(document)
    for path, value in sorted(params.items(), key=lambda item: _turn(item[0])):
        *parents, last = path.split(".")
        node = merged
        for part in parents:
            node = _step(node, part, path)
        own = copy.deepcopy(value)  # a later path may lead into it
        if isinstance(node, list):
            if not (last.isdigit() and int(last) < len(node)):
                raise ConfigError(
                    f"'{path}' ends in a list of {len(node)}; name one of its items, as in "
                    f"'{'.'.join(parents)}.0.{last}'"
                )
            node[int(last)] = own
            continue
        if last == "kind" and node.get("kind") != value:
            node.clear()
        node[last] = own
    return merged


def by_path(document: Any, path: str = "", *, items: bool = False) -> dict[str, Any]:
    """Return the values of nested mappings by dotted path, those of an empty mapping as itself; see `merge`.

    path: of `document` itself. items: also of lists that hold mappings, each item by its index.
    """
    if items and isinstance(document, list) and any(isinstance(inner, dict) for inner in document):
        document = {str(position): inner for position, inner in enumerate(document)}
    if not isinstance(document, dict) or not document:
        return {path: document}
    return {
        at: value
        for key, inner in document.items()
        for at, value in by_path(inner, f"{path}.{key}" if path else str(key), items=items).items()
    }


def _step(node: Any, part: str, path: str) -> Any:
    """Return what lies under `part` of a mapping, made where it is missing, or of a list, by its index."""
    if isinstance(node, list):
        if not (part.isdigit() and int(part) < len(node) and isinstance(node[int(part)], dict)):
            raise ConfigError(
                f"'{path}' goes through a list of {len(node)}, which has no mapping at '{part}'"
            )
        return node[int(part)]
    child = node.get(part)
    if not isinstance(child, dict | list):
        child = node[part] = {}
    return child


def _turn(path: str) -> tuple[int, bool, str]:
    """Return when `path` is set: what holds others before what lies in it, and a kind before its knobs."""
    return path.count("."), not path.endswith(".kind"), path


def check_numbers(hint: Any, value: Any) -> None:
    """Raise ValueError if `value` is no number where the type `hint` takes numbers, or named words, alone.

    Text that is a plain number passes, as those hand it over whose YAML reads 1e-4 as text; true and "1_0" do
    not, which Python would take for 1 and 10.
    """
    if not _of_numbers(hint):
        return
    words = [word for part in typing.get_args(hint) for word in _words(part)]
    for part in value if isinstance(value, list | tuple) else [value]:
        if isinstance(part, str) and (part in words or PLAIN_NUMBER.fullmatch(part)):
            continue
        if isinstance(part, bool | str):
            raise ValueError(f"must be a number{''.join(f', or {word!r}' for word in words)}")


def _of_numbers(hint: Any) -> bool:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is None:
        return hint in (int, float)
    if origin is typing.Annotated:
        return _of_numbers(parts[0])
    if origin not in (tuple, list, types.UnionType, typing.Union):
        return False
    numbers = [part for part in parts if part not in (types.NoneType, ...) and not _words(part)]
    return bool(numbers) and all(map(_of_numbers, numbers))


def _words(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def in_words(message: str) -> str:
    """Return what a validator says of a value, in the words of whoever writes YAML, who knows no tuple."""
    text = message.replace("Input should be", "must be")
    for kind in ("tuple", "list"):
        text = text.replace(f"a valid {kind}", "a list in brackets, as [a, b]")
    return text


def suggestion(name: str, valid: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" if something in `valid` is near, else an empty string."""
    near = difflib.get_close_matches(name, list(valid), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
