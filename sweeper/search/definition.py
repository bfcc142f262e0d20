"""What must not change while a study lives, as it is stored and as it is now: where the two differ."""

import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from trainables.errors import ConfigError
from trainables.storage.documents import by_path

Definition = Mapping[str, Any]

# What `Study.definition` leaves out where a study has the usual.
UNSAID: Definition = {"replicates": 1, "accuracy": "test", "attacked": 1.0}


def changes(stored: Definition, current: Definition, *, same: Collection[str] = ()) -> list[str]:
    """Return, for each key in which two definitions of a study differ, ``key: old -> new``.

    current: as `Study.definition` gives it. same: paths below ``trial`` that differ in words alone, as a file
    that was moved.
    """
    current = json.loads(json.dumps(current))
    if stored != current:
        # An older version stored fewer knobs: one that came later is no change at its default.
        with contextlib.suppress(ConfigError):
            stored, current = _filled(stored), _filled(current)
    both = min(len(_judges(definition)) for definition in (stored, current))
    before, after = (by_path(_with_judges(_said(definition), both)) for definition in (stored, current))
    names = (before.keys() | after.keys()) - {f"trial.{knob}" for knob in same}
    keys = sorted(name for name in names if before.get(name) != after.get(name))
    return [f"{key}: {_brief(before, key)} -> {_brief(after, key)}" for key in keys]


def refuse_changes(name: str, changed: Sequence[str]) -> None:
    """Raise `ConfigError` if the study `name` is not what it was when it began; changed: see `changes`."""
    if changed:
        shown = "; ".join(changed[:6])
        more = f" and {len(changed) - 6} more" if len(changed) > 6 else ""
        raise ConfigError(
            f"study '{name}' must keep its trial, space and objectives; changed since it began: {shown}{more}"
            "; undo the change or give the study another name (-S name=...)"
        )


def _filled(definition: Definition) -> Definition:
    """Return a definition with every default of its trial."""
    from trainables.config import document, load_trial

    return {**definition, "trial": json.loads(json.dumps(document(load_trial(definition["trial"]))))}


def _said(definition: Definition) -> dict[str, Any]:
    """Return a definition with what it leaves unsaid, under the names that a study file has for it."""
    rest = {name: value for name, value in definition.items() if name not in UNSAID}
    return {**rest, "search": {name: definition.get(name, usual) for name, usual in UNSAID.items()}}


def _judges(definition: Definition) -> list[Any]:
    """Return the judges of a definition that has a list of them."""
    judges = (definition.get("trial") or {}).get("judge")
    return judges if isinstance(judges, list) else []


def _with_judges(definition: dict[str, Any], both: int) -> dict[str, Any]:
    """Return a definition with its list of judges as the first, and the others by number.

    both: judges that the other definition has too; of one that it lacks the kind is enough.
    """
    judges = _judges(definition)
    if not judges:
        return definition
    others = {
        str(number): judge if number < both else judge["kind"] for number, judge in enumerate(judges[1:], 1)
    }
    return {**definition, "trial": {**definition["trial"], "judge": {**judges[0], **others}}}


def _brief(values: Mapping[str, Any], key: str) -> str:
    """Return a value as an error shows it; of a long list how many there are."""
    if key not in values:
        return "nothing"
    value = values[key]
    return f"{len(value)} of them" if isinstance(value, list) and len(value) > 6 else repr(value)
