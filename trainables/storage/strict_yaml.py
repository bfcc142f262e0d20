"""YAML without its surprises: no key twice, plain decimal numbers, dates as text, and one kind of error.

YAML 1.1 lets the last of two equal keys win, reads 010 as 8, 1:30 as 90 and 1e-4 as text, and fails over a
date that no calendar has. Here the first four are errors or what they look like, and a date is text.
"""

import math
import re
from collections.abc import Hashable
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from trainables.errors import ConfigError

MOST_VALUES = 1_000_000  # of a document with its aliases written out
PLAIN_NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_ODD = "tag:yaml.org,2002:odd"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_NOT_TAKEN = (*_NUMBERS, "tag:yaml.org,2002:timestamp")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, strict about keys and numbers."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping; raise ConstructorError for a key that is given twice, or is no text."""
        lines: dict[str, int] = {}
        for key_node, _ in node.value if isinstance(node, MappingNode) else ():
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise _error(f"expected text as a key, got {key!r} (line {line}); put it in quotes", key_node)
            if key in lines:
                raise _error(
                    f"expected every key once, got '{key}' on line {lines[key]} and on line {line}", key_node
                )
            lines[key] = line
        return super().construct_mapping(node, deep=deep)

    def construct_odd(self, node: ScalarNode) -> Any:
        """Refuse a number that does not mean what it looks like."""
        raise _error(
            f"expected a plain decimal number, got {node.value} (line {node.start_mark.line + 1}), which "
            "YAML reads in another way; write it out, or put text in quotes",
            node,
        )

    def construct_decimal(self, node: ScalarNode) -> float:
        """Return a float; YAML 1.1 wants a point before an exponent."""
        return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper; puts text in quotes that `_Loader` would take for a number."""

    def choose_scalar_style(self) -> str:
        """Return the quotes of a text, in one line those that know a line break as one sign."""
        style: str = super().choose_scalar_style()  # type: ignore[no-untyped-call]
        return '"' if style == "'" and self.flow_level else style


def _error(text: str, node: Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, text, node.start_mark)


def _resolvers() -> dict[Any, list[tuple[str, Any]]]:
    """Return PyYAML's resolvers of plain text: our numbers first, its other numbers as odd ones, no dates."""
    named = r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ours = [
        ("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)$")),
        (
            "tag:yaml.org,2002:float",
            re.compile(rf"({PLAIN_NUMBER.pattern}|{named})$"),
        ),
    ]
    theirs = yaml.SafeLoader.yaml_implicit_resolvers
    first_letters = {*theirs, *"-+.0123456789"}
    return {
        letter: [
            *(ours if letter in "-+.0123456789" else []),
            *((tag, pattern) for tag, pattern in theirs.get(letter, []) if tag not in _NOT_TAKEN),
            *((_ODD, pattern) for tag, pattern in theirs.get(letter, []) if tag in _NUMBERS),
        ]
        for letter in first_letters
    }


_Loader.yaml_implicit_resolvers = _Dumper.yaml_implicit_resolvers = _resolvers()
_Loader.add_constructor(_ODD, _Loader.construct_odd)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_decimal)


def parse_yaml(text: str, where: str) -> Any:
    """Return what the YAML `text` holds; raise `ConfigError` with `where`, in one line, for every mistake."""
    try:
        content = yaml.load(text, _Loader)  # a safe loader
        _check_size(content)
    except yaml.MarkedYAMLError as error:
        reason = (
            error.problem if isinstance(error, yaml.constructor.ConstructorError) and error.problem else error
        )
        raise ConfigError(f"expected YAML in {where}, got: {' '.join(str(reason).split())}") from None
    except RecursionError:
        raise ConfigError(f"expected YAML in {where}, got: values nested too deeply") from None
    except Exception as error:  # what a constructor raises depends on what it was given
        raise ConfigError(f"expected YAML in {where}, got: {' '.join(str(error).split())}") from None
    return content


def dump_yaml(value: Any, *, flow: bool = False) -> str:
    """Return `value`, plain data, as YAML that `parse_yaml` reads back as it was.

    flow: a mapping in one line.
    """
    width = math.inf if flow else None
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=False, default_flow_style=flow, width=width
    )


def _check_size(content: Any) -> None:
    """Raise ValueError for a document that holds itself, or `MOST_VALUES` values and more through aliases."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(value: Any) -> int:
        if not isinstance(value, dict | list):
            return 1
        if id(value) in open_:
            raise ValueError("an alias (*) inside the value that it stands for")
        if id(value) not in sizes:
            open_.add(id(value))
            sizes[id(value)] = 1 + sum(map(size, value.values() if isinstance(value, dict) else value))
            open_.discard(id(value))
        return sizes[id(value)]

    if size(content) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values, aliases written out")
