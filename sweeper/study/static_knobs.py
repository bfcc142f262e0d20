"""The knobs of one method, read from the text of its class and its bases: name, values, default, meaning."""

import ast
import inspect
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.study.static_registry import read_module

REQUIRED = "required"
# Markers of trainables/method.py, and at which place they hold the default.
MARKERS = {"file_knob": 0, "length_knob": 0, "later_knob": 0, "stated_knob": 0, "named_knob": 1}


@dataclass(frozen=True)
class Definition:
    """A class and the module that it is written in."""

    module: str
    node: ast.ClassDef


def knobs(root: Path, module: str, name: str) -> list[dict[str, Any]]:
    """Return ``{"name", "values", "default", "meaning"}`` of each knob of the class `name` of `module`.

    Those of bases come first, as in a dataclass. default: the value, `REQUIRED` where there is none, or its
    text where that is no constant. meaning: what the docstring says, "" if nothing. [] if it is no class.
    """
    classes = list(_lineage(root, module, name))
    fields: dict[str, tuple[str, ast.AnnAssign]] = {}
    attributes: set[str] = set()
    for definition in reversed(classes):
        for node in definition.node.body:
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            if "ClassVar" in ast.unparse(node.annotation):
                attributes.add(node.target.id)
            else:
                fields[node.target.id] = (definition.module, node)
    docstrings = [ast.get_docstring(definition.node) or "" for definition in classes]
    meanings: dict[str, str] = {}
    for text in docstrings:
        meanings = _meanings(text, {*fields, *attributes}) | meanings
    for field in fields.keys() - meanings.keys():
        mentions = (_mention(text, field, attributes) for text in docstrings)
        meanings[field] = next(filter(None, mentions), "")
    return [
        {
            "name": field,
            "values": _values(root, where, node.annotation),
            "default": _default(root, where, node.value),
            "meaning": meanings[field],
        }
        for field, (where, node) in fields.items()
    ]


def _lineage(root: Path, module: str, name: str) -> Iterator[Definition]:
    """Yield a class and then its bases of the same top-level package, nearest first."""
    definition = _find(root, module, name)
    if definition is None:
        return
    yield definition
    for base in definition.node.bases:
        if isinstance(base, ast.Name):
            yield from _lineage(root, definition.module, base.id)


def _find(root: Path, module: str, name: str) -> Definition | None:
    names = read_module(root, module)
    if name in names.classes:
        return Definition(module, names.classes[name])
    origin, original = names.origins.get(name, ("", ""))
    if origin.split(".")[0] != module.split(".")[0]:
        return None
    return _find(root, origin, original)


def _constant(root: Path, module: str, node: ast.expr) -> ast.expr:
    """Return what a name of the same package stands for; anything else as it is."""
    while isinstance(node, ast.Name):
        names = read_module(root, module)
        if node.id in names.values:
            node = names.values[node.id]
            continue
        origin, original = names.origins.get(node.id, ("", ""))
        if origin.split(".")[0] != module.split(".")[0]:
            return node
        module, node = origin, ast.Name(original)
    return node


def _values(root: Path, module: str, annotation: ast.expr) -> str:
    """Return what a knob takes: "int | None", or the words of a Literal."""
    resolved = _constant(root, module, annotation)
    if isinstance(resolved, ast.Subscript) and ast.unparse(resolved.value) == "Literal":
        words = resolved.slice.elts if isinstance(resolved.slice, ast.Tuple) else [resolved.slice]
        return " | ".join(str(word.value) for word in words if isinstance(word, ast.Constant))
    return ast.unparse(resolved if not isinstance(resolved, ast.Call) else annotation)


def _default(root: Path, module: str, value: ast.expr | None) -> Any:
    if value is None:
        return REQUIRED
    if isinstance(value, ast.Call):
        name = ast.unparse(value.func).rpartition(".")[2]
        if name in MARKERS:
            given = [
                *value.args[MARKERS[name] :],
                *(keyword.value for keyword in value.keywords if keyword.arg == "default"),
            ]
            return _default(root, module, given[0] if given else None)
        factories = [keyword.value for keyword in value.keywords if keyword.arg == "default_factory"]
        if name == "field" and factories:
            return f"{ast.unparse(factories[0])}()"
    resolved = _constant(root, module, value)
    try:
        return ast.literal_eval(resolved)
    except ValueError:
        return ast.unparse(value)


def _meanings(docstring: str, names: set[str]) -> dict[str, str]:
    """Return name -> what the docstring says after ``name:`` or ``name, other name:``."""
    word = "|".join(sorted(map(re.escape, names), key=len, reverse=True)) or "(?!)"
    heads = re.compile(rf"(?:^[ ]*|[ ]{{2,}})((?:{word})(?:, (?:{word}))*): ", re.MULTILINE)
    meanings: dict[str, str] = {}
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        matches = list(heads.finditer(paragraph))
        for match, following in itertools.zip_longest(matches, matches[1:]):
            text = paragraph[match.end() : following.start() if following else len(paragraph)]
            # a sentence that starts a line at the margin belongs to the class, not to the last knob
            text = re.split(r"(?<=\.)\n(?=[A-Z])", text)[0]
            named, text = match[1].split(", "), " ".join(text.split()).rstrip(".")
            clauses = text.split(", ")
            each = clauses if len(clauses) == len(named) else [text] * len(named)
            meanings |= dict(zip(named, each, strict=True))
    return meanings


def _mention(docstring: str, name: str, attributes: set[str]) -> str:
    """Return the first sentence of a docstring that names a knob, or ""; a plain word names none.

    A sentence that says what one of the `attributes` means, which are no knobs, is about that one.
    """
    word = rf"\b{name}\b" if "_" in name else rf"`{name}`"
    text = re.sub(r"\n[ ]*(?=\S)", " ", inspect.cleandoc(docstring))
    sentences = re.split(r"(?<=\.)\s+|\n\s*|  +", text)
    about = (re.match(r"([a-z]\w*(?:, [a-z]\w*)*): ", sentence) for sentence in sentences)
    others = [head is not None and bool(attributes & set(head[1].split(", "))) for head in about]
    found = (
        sentence.rstrip(".")
        for sentence, other in zip(sentences, others, strict=True)
        if not other and re.search(word, sentence)
    )
    return next(found, "")
