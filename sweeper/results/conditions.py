"""Under which conditions a study measured: data, judge, attacks. Studies compare only under the same ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.results.stage_files import attack_folders, key_parts, stage_folder
from trainables.errors import ConfigError

Record = Mapping[str, Any]
Flat = dict[str, Any]

# What of a trial's document decides what its figures mean; the rest (target, defense) is what is compared.
CONDITIONS = (
    "private",
    "public",
    "image_size",
    "validation",
    "test",
    "seed",
    "identities",
    "prior",
    "attack",
    "suite",
    "judge",
)
SHOWN = 6  # differences that an error names


@dataclass(frozen=True)
class Setup:
    """The conditions of a study: path -> the values that its trials have there, as JSON texts.

    exact: read from the content keys of its stages, where data count by their bytes; else from the study's
    document, where they count by their names.
    """

    study: str
    values: dict[str, frozenset[str]]
    exact: bool


def setup(record: Record, *, exact: bool = True) -> Setup | None:
    """Return the conditions of a study (of ``sweeper front``, with its ``identity`` if known), or None.

    exact: from the stages of its finished trials, None if one's files are not on this machine. Otherwise from
    ``record["identity"]``, the document that the study keeps, None if that is not given.
    """
    trials = [t for t in record["trials"] if t["state"] == "complete"]
    if exact:
        found = [_of_stages(trial) for trial in trials]
    else:
        found = [_of_document(record.get("identity"), trial) for trial in trials or [{"params": {}}]]
    kept = [one for one in found if one is not None]
    if not kept or len(kept) < len(found):
        return None
    paths = sorted({path for one in kept for path in one})
    return Setup(
        str(record["study"]),
        {path: frozenset(json.dumps(one.get(path), sort_keys=True) for one in kept) for path in paths},
        exact,
    )


def _of_stages(trial: Mapping[str, Any]) -> Flat | None:
    """Return the conditions of one trial from what went into its stages."""
    artifacts = trial.get("artifacts") or {}
    target, judge = (key_parts(str(artifacts.get(stage))) for stage in ("target", "judge"))
    attacks = attack_folders(trial)
    if target is None or judge is None or not attacks:
        return None
    found: Flat = {name: target.get(name) for name in ("private", "validation", "test", "seed")}
    found |= _flat(judge.get("judge"), "judge") | {"judge.version": judge.get("version")}
    found["image_size"] = judge.get("image_size")
    for name, folder in attacks.items():
        parts = key_parts(folder)
        prior = None if parts is None else key_parts(stage_folder(folder, "prior", str(parts.get("prior"))))
        if parts is None or prior is None:
            return None
        prefix = f"attack.{name}" if name else "attack"
        found |= _flat(parts.get("attack"), prefix) | {f"{prefix}.version": parts.get("version")}
        found |= _flat(prior.get("prior"), f"{prefix}.prior")
        found |= {f"{prefix}.prior.{key}": prior.get(key) for key in ("seed", "version")}
        found |= {"public": prior.get("public"), "identities": parts.get("identities")}
    return found


def _of_document(identity: Mapping[str, Any] | None, trial: Mapping[str, Any]) -> Flat | None:
    """Return the conditions of one trial from the study's template and what the trial changed of it."""
    if not identity or "trial" not in identity:
        return None
    found = _flat({name: v for name, v in identity["trial"].items() if name in CONDITIONS}, "")
    changed = {path: v for path, v in trial["params"].items() if path.partition(".")[0] in CONDITIONS}
    return found | changed


def _flat(value: Any, path: str) -> Flat:
    """Return nested mappings and lists as dotted path -> value."""
    if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        value = {str(position): inner for position, inner in enumerate(value)}
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        k: v
        for key, inner in value.items()
        for k, v in _flat(inner, f"{path}.{key}" if path else str(key)).items()
    }


def differences(first: Record, second: Record) -> list[str] | None:
    """Return what differs in the conditions of two studies, a text each; None if they are not known."""
    pair = _pair(first, second)
    if pair is None:
        return None
    a, b = pair
    nothing = frozenset({"null"})
    return [
        f"{path}: {_shown(a.values.get(path, nothing))} in '{a.study}', "
        f"{_shown(b.values.get(path, nothing))} in '{b.study}'"
        for path in sorted(a.values.keys() | b.values.keys())
        if a.values.get(path, nothing) != b.values.get(path, nothing)
    ]


def _pair(first: Record, second: Record) -> tuple[Setup, Setup] | None:
    """Return both set-ups, read in the same way: exactly if possible for both."""
    for exact in (True, False):
        a, b = setup(first, exact=exact), setup(second, exact=exact)
        if a is not None and b is not None:
            return a, b
    return None


def _shown(values: frozenset[str]) -> str:
    texts = [json.loads(text) for text in sorted(values)]
    return " or ".join(
        "nothing" if v is None else f"{v:g}" if isinstance(v, float) else str(v) for v in texts
    )


def check_setups(records: Sequence[Record], *, force: bool = False) -> list[str]:
    """Return notes on how the conditions of studies differ; raise `ConfigError` if they do, unless forced.

    A study without a finished trial is under no condition yet.
    """
    known = [record for record in records if any(t["state"] == "complete" for t in record["trials"])]
    notes: list[str] = []
    for other in known[1:]:
        names = f"'{known[0]['study']}' and '{other['study']}'"
        found = differences(known[0], other)
        if found is None:
            notes.append(f"whether {names} were measured under the same conditions is not known")
        elif found:
            more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            text = "; ".join(found[:SHOWN]) + more
            if not force:
                raise ConfigError(
                    f"studies compare only under the same data, judge and attacks; {text}; "
                    "--force compares them all the same"
                )
            notes.append(f"{names} were measured under different conditions: {text}")
    return notes
