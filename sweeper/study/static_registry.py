"""A family's registry read as text: to import a family is to import torch, seconds for a few lines."""

import ast
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from trainables.errors import ConfigError

_UNKNOWN: Final = object()  # None is a constant of its own


@dataclass(frozen=True, kw_only=True)
class Module:
    """The names of one file, unevaluated.

    values: what is assigned to a name. classes: definitions. origins: module and name of what is imported.
    """

    values: dict[str, ast.expr]
    classes: dict[str, ast.ClassDef]
    origins: dict[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One expression of a file of `root`, the folder of the top-level packages."""

    root: Path
    module: str
    node: ast.AST

    def text(self, field: str) -> str:
        """Return the string `field` of this class or instance; raise `ConfigError` if the text lacks it."""
        value = self._constant(field)
        if not isinstance(value, str):
            raise self._lacks(field, "a string")
        return value

    def value(self, field: str) -> Any:
        """Return `field`, a number, string, bool or None; raise `ConfigError` if the text has none such."""
        value = self._constant(field)
        if value is _UNKNOWN:
            raise self._lacks(field, "a constant")
        return value

    def has(self, field: str) -> bool:
        """Return whether `field` is a constant in the text of this class or instance, or of a base."""
        return self._constant(field) is not _UNKNOWN

    def _lacks(self, field: str, form: str) -> ConfigError:
        name = f" of {self.node.id}" if isinstance(self.node, ast.Name) else ""
        return ConfigError(f"{self.module}: expected '{field}'{name} as {form} in the text of its file")

    def _constant(self, field: str) -> Any:
        """Return the constant `field`, or `_UNKNOWN`."""
        entry = self._field(field)
        if entry is None:
            return _UNKNOWN
        node = entry._followed().node
        try:
            value = ast.literal_eval(node) if isinstance(node, ast.expr) else _UNKNOWN
        except ValueError:  # an expression
            return _UNKNOWN
        return value if isinstance(value, str | bool | int | float | None) else _UNKNOWN

    def _field(self, field: str) -> "Entry | None":
        """Return what is assigned to `field`, here or in a base class; None if nothing is."""
        entry = self._followed()
        if isinstance(entry.node, ast.Call):  # an instance: its keyword arguments
            nodes = [keyword.value for keyword in entry.node.keywords if keyword.arg == field]
            return entry._at(nodes[0]) if nodes else None
        if not isinstance(entry.node, ast.ClassDef):
            return None
        node = _assigned(entry.node.body).get(field)
        if node is not None:
            return entry._at(node)
        inherited = (entry._at(base)._field(field) for base in entry.node.bases)
        return next((value for value in inherited if value is not None), None)

    def _followed(self) -> "Entry":
        """Return what a name means: defined in its file, or imported from the same top-level package."""
        if not isinstance(self.node, ast.Name):
            return self
        names = read_module(self.root, self.module)
        node = names.classes.get(self.node.id) or names.values.get(self.node.id)
        if node is not None:
            return self._at(node)._followed()
        module, name = names.origins.get(self.node.id, ("", ""))
        if module.split(".")[0] != self.module.split(".")[0]:
            return self
        return Entry(root=self.root, module=module, node=ast.Name(name))._followed()

    def _at(self, node: ast.AST) -> "Entry":
        return Entry(root=self.root, module=self.module, node=node)


def registry_entries(root: Path, package: str, registry: str) -> dict[str, Entry]:
    """Return the entries of the dict `registry` of `package`, such as "trainables.attacks", under `root`.

    Raises `ConfigError` if its text is no dict with strings as keys.
    """
    node = read_module(root, package).values.get(registry)
    if not isinstance(node, ast.Dict):
        raise ConfigError(f"{package}: expected a dict '{registry}' in the text of its file")
    entries = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            raise ConfigError(f"{package}: expected strings as keys of '{registry}'")
        entries[key.value] = Entry(root=root, module=package, node=value)
    return entries


@lru_cache
def read_module(root: Path, module: str) -> Module:
    """Return the names of a module, or of a package's ``__init__.py``, under `root`."""
    path = root.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return Module(
        values=_assigned(body),
        classes={node.name: node for node in body if isinstance(node, ast.ClassDef)},
        origins={
            alias.asname or alias.name: (node.module, alias.name)
            for node in body
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0
            for alias in node.names
        },
    )


def _assigned(body: list[ast.stmt]) -> dict[str, ast.expr]:
    values: dict[str, ast.expr] = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            values[node.target.id] = node.value
        elif isinstance(node, ast.Assign):
            values |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
    return values
