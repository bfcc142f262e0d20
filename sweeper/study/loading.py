"""Study files read: YAML in, a `Study` out, every mistake with its path."""

import dataclasses
import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sweeper.study.checks import IN_TRIAL, _check_gpus, _check_objectives, _check_screening, check_study
from sweeper.study.inheritance import inherited_space, read_study
from sweeper.study.presets import SUFFIXES, find_study
from sweeper.study.study import Resources, Search, Study, Tracking
from trainables.errors import ConfigError, placed
from trainables.storage.documents import check_numbers, in_words, merge, read_yaml, suggestion
from trainables.storage.strict_yaml import parse_yaml

MOST_LETTERS = 100  # of a name; a folder's may have 255 bytes, and others are made of it


def load_study(
    reference: str, *, overrides: Sequence[str] = (), trials: int | None = None, check: bool = True
) -> Study:
    """Return the study that `reference` (a YAML path, or the name of a preset) describes.

    overrides: ``path.to.key=value`` items, values read as YAML; in any order, but that the last of one path
    counts, and a changed kind drops the old kind's knobs. trials: overrides ``search.trials``.
    check: also try the template with anchors and random draws. The study's template is returned with every
    default filled in. Raises `ConfigError` for every mistake.
    """
    study = _filled(reference, overrides, trials, checked=True)
    if check:
        try:
            check_study(study)
        except ConfigError as error:
            parent = inherited_space(find_study(reference)) if IN_TRIAL in str(error) else None
            if parent is None:
                raise
            raise placed(error, f"; its space is that of {parent}: state a `space` that fits") from None
    return study


def described_study(reference: str, *, overrides: Sequence[str] = (), trials: int | None = None) -> Study:
    """Return the study as `load_study` does, though files or packages that it names may not be here."""
    return _filled(reference, overrides, trials, checked=False)


def _filled(reference: str, overrides: Sequence[str], trials: int | None, *, checked: bool) -> Study:
    """Return the study with every default filled into its template, tried as a whole if `checked`."""
    from trainables.config import document, load_trial

    path = find_study(reference)
    written = read_study(path)
    written.setdefault("name", path.stem)
    written = merge(written, dict(map(_override, overrides)))
    search = written.get("search", {})
    if trials is not None and isinstance(search, dict):  # what else it may be is told below
        written["search"] = {**search, "trials": trials}
    study = parse_study(written, reference)
    template = load_trial(study.trial, f"{reference}: trial", checked=checked)
    return dataclasses.replace(study, trial=document(template))


def stored_study(folder: Path) -> Study:
    """Return the study as it was last started; `folder` is the one that a home keeps for it."""
    path = folder / "study.yaml"
    if not path.is_file():
        raise ConfigError(f"expected the study file of a sweep started here, found nothing at {path}")
    return parse_study(read_yaml(path), str(path))


def parse_study(document: dict[str, Any], where: str) -> Study:
    """Return the study in `document`; raise `ConfigError` with the path of the first mistake."""
    try:
        study: Study = TypeAdapter(Study).validate_python(document)
    except ValidationError as error:
        raise ConfigError(_first_mistake(error, where)) from None
    _check_numbers(document, where)
    check_name(study.name, where)
    _check_objectives(study, where)
    _check_gpus(study.resources, where)
    _ = study.limits
    if study.search.screening:
        _check_screening(study, where)
    return study


def check_name(name: str, where: str) -> None:
    """Raise `ConfigError` for a name that no study can have."""
    if len(name.encode()) > MOST_LETTERS:
        raise ConfigError(
            f"name must have at most {MOST_LETTERS} characters, those beyond ASCII counted as two to four "
            f"(it names a folder); got {len(name.encode())} ({where}: name)"
        )
    if name.endswith(SUFFIXES):  # a file is meant wherever a study is named
        raise ConfigError(
            f"name must not end in {Path(name).suffix}, which names a file; got {name!r} ({where}: name)"
        )
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ConfigError(
            f"name must be letters, digits, '_', '-' and '.' (it names a folder); got {name!r} "
            f"({where}: name)"
        )


def _check_numbers(document: dict[str, Any], where: str) -> None:
    """Raise `ConfigError` for a setting of numbers that is none; true and false are not 1 and 0 here."""
    for part, owner in (("search", Search), ("resources", Resources)):
        settings = document.get(part)
        hints = typing.get_type_hints(owner, include_extras=True)
        for name, value in settings.items() if isinstance(settings, dict) else ():
            try:
                check_numbers(hints.get(name), value)
            except ValueError as error:
                path = f"{part}.{name}"
                raise ConfigError(f"{path} {error}; got {value!r} ({where}: {path})") from None


def _override(item: str) -> tuple[str, Any]:
    """Return path and value of ``path.to.key=value``."""
    path, sign, text = item.partition("=")
    path = path.strip()
    if not sign or not path:
        raise ConfigError(f"an override must be path.to.key=value; got {item!r} (-S)")
    if path == "extends":  # the file is already read, and merged over its parent
        raise ConfigError("extends cannot be overridden (-S); write it in the study file")
    try:
        return path, parse_yaml(text, path)
    except ConfigError as error:
        reason = str(error).partition(", got: ")[2]
        raise ConfigError(
            f"the value of an override must be YAML; got {text!r} (-S {path}): {reason}"
        ) from None


def _first_mistake(error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    # What follows a value's own path, and is no index, names a branch of a union.
    own = 2 if first["loc"][0] in (*_PARTS, "objectives") else 1
    keys = [str(key) for place, key in enumerate(first["loc"]) if place < own or isinstance(key, int)]
    path = ".".join(keys)
    if keys[0] == "space":
        return _mistake_in_space(first, where)
    if first["type"] == "unexpected_keyword_argument":
        owner = _PARTS.get(keys[0], Study)
        known = [*(f.name for f in dataclasses.fields(owner)), *(["extends"] if owner is Study else [])]
        return (
            f"unknown key '{keys[-1]}'{suggestion(keys[-1], known)} ({where}: {path}); "
            f"known keys: {', '.join(known)}"
        )
    if first["type"] in ("missing", "missing_argument"):
        return f"'{path}' is missing ({where})"
    if isinstance(first["loc"][-1], int):
        path = f"{'.'.join(keys[:-1])}[{keys[-1]}]"
    problem = in_words(first["msg"])
    if first["type"] in ("dict_type", "dataclass_type"):
        problem = "must be a mapping"
    if keys == ["objectives"]:
        problem = "must be a mapping of names to directions, as {test_accuracy: maximize}"
    if keys == ["controls"]:
        problem = "must be true, false or a mapping of controls"
    if any(
        detail["loc"][:-1] == first["loc"][:-1] and "'auto'" in detail["msg"] for detail in error.errors()[1:]
    ):
        problem += ", or 'auto'"
    return f"{path} {problem}; got {first['input']!r} ({where}: {path})"


def _mistake_in_space(first: Any, where: str) -> str:
    """Return what the space, or an item of it, must be: each branch of its union complains of its own."""
    item = next((part for part in first["loc"] if isinstance(part, int)), None)
    path = "space" if item is None else f"space[{item}]"
    expected = (
        "a name, a list or a mapping of paths to domains"
        if item is None
        else "a name or a mapping of a path to its domain"
    )
    return f"{path} must be {expected}; got {first['input']!r} ({where}: {path})"


_PARTS: dict[Any, Any] = {"search": Search, "resources": Resources, "tracking": Tracking}
