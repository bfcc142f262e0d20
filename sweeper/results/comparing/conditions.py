"""Conditions of a study: data, judge, attacks. Studies compare only under the same ones."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.results.one_data import same_images
from sweeper.results.record_types import StudyRecords
from sweeper.results.stage_files import attack_folders, key_parts, stage_folder
from sweeper.results.trial_record import TrialRecord
from trainables.errors import ConfigError
from trainables.storage.documents import by_path

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
    "attacked",
    "split_seed",
    "prior_seed",
    "judge_seed",
    "prior",
    "attack",
    "suite",
    "judge",
)
DATA = ("private", "public")
_FIRST_JUDGE = re.compile(r"^judge\.0(?=\.|$)")
SHOWN = 6  # differences that an error names


@dataclass(frozen=True)
class Setup:
    """The conditions of a study: path -> the values that its trials have there, as JSON texts.

    exact: read from the content keys of its stages, where data count by their bytes; else from the study's
    document, where they count by the content keys that its trials noted, or else by their names.
    """

    study: str
    values: dict[str, frozenset[str]]
    exact: bool


def setup(record: StudyRecords, *, exact: bool = True, keys: Mapping[str, str] | None = None) -> Setup | None:
    """Return the conditions of a study, or None if they are not known.

    exact: from the stages of its finished trials, None if one's files are not on this machine. Otherwise from
    ``record.definition``, the document that the study keeps, None if that is not given.
    keys: data count by the content keys that the trials noted, with these names for some (`same_images`);
    None lets them count by their names.
    """
    trials = record.complete
    if exact:
        conditions = [_of_stages(trial) for trial in trials]
    else:
        conditions = [_of_document(record.definition, trial.params) for trial in trials] or [
            _of_document(record.definition, {})
        ]
        if keys is not None:
            conditions = [
                None if flat is None else _by_key(flat, trial.data, keys)
                for flat, trial in zip(conditions, trials, strict=False)
            ]
    known = [condition for condition in conditions if condition is not None]
    if not known or len(known) < len(conditions):
        return None
    paths = sorted({path for condition in known for path in condition})
    return Setup(
        record.study,
        {path: frozenset(json.dumps(flat.get(path), sort_keys=True) for flat in known) for path in paths},
        exact,
    )


def _of_stages(trial: TrialRecord) -> Flat | None:
    """Return the conditions of one trial from what went into its stages."""
    target, judge = (key_parts(str(trial.artifacts.get(stage))) for stage in ("target", "judge"))
    attacks = attack_folders(trial.artifacts)
    if target is None or judge is None or not attacks:
        return None
    flat: Flat = {name: target.get(name) for name in ("private", "validation", "test", "seed")}
    judges = [judge, *(key_parts(str(trial.artifacts[name])) for name in _other_judges(trial))]
    for position, parts in enumerate(judges):
        if parts is None:
            return None
        prefix = f"judge.{position}" if position else "judge"
        flat |= _versioned(parts, "judge", prefix)
    flat["image_size"] = judge.get("image_size")
    for name, folder in attacks.items():
        parts = key_parts(folder)
        prior = None if parts is None else key_parts(stage_folder(folder, "prior", str(parts.get("prior"))))
        if parts is None or prior is None:
            return None
        prefix = f"attack.{name}" if name else "attack"
        flat |= _versioned(parts, "attack", prefix) | _versioned(prior, "prior", f"{prefix}.prior")
        flat[f"{prefix}.prior.seed"] = prior.get("seed")
        flat |= {"public": prior.get("public"), "identities": parts.get("identities")}
    return flat


def _versioned(parts: Mapping[str, Any], method: str, prefix: str) -> Flat:
    """Return a method's knobs among the `parts` of its stage, with its own version, which is there from 2 on,
    or else the stage's."""
    return {f"{prefix}.version": parts.get("version")} | by_path(parts.get(method), prefix, items=True)


def _other_judges(trial: TrialRecord) -> list[str]:
    """Return the names of the judges beside the one that counts among a trial's artifacts, in order."""
    names = [name for name in trial.artifacts if name.startswith("judge_")]
    return sorted(names, key=lambda name: int(name.removeprefix("judge_")))


def _of_document(definition: Mapping[str, Any] | None, params: Mapping[str, Any]) -> Flat | None:
    """Return the conditions of one trial from the study's template and what its `params` change of it."""
    if not definition or "trial" not in definition:
        return None
    flat = by_path({name: v for name, v in definition["trial"].items() if name in CONDITIONS}, items=True)
    changed = {path: v for path, v in params.items() if path.partition(".")[0] in CONDITIONS}
    # The judge that counts is the same condition alone and as the first of a list.
    return {_FIRST_JUDGE.sub("judge", path): value for path, value in (flat | changed).items()}


def _by_key(flat: Flat, data: Mapping[str, str], keys: Mapping[str, str]) -> Flat:
    """Return the conditions with the content keys of the images in place of what names them."""
    others = {path: value for path, value in flat.items() if path.partition(".")[0] not in DATA}
    return others | {role: keys.get(data[role], data[role]) for role in DATA}


def differences(first: StudyRecords, second: StudyRecords) -> list[str] | None:
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


def _pair(first: StudyRecords, second: StudyRecords) -> tuple[Setup, Setup] | None:
    """Return both set-ups, read in the same way: exactly if possible for both, or else by noted keys."""
    noted = all(
        role in trial.data for record in (first, second) for trial in record.complete for role in DATA
    )
    keys = same_images([first, second]) if noted else None
    for exact in (True, False):
        a, b = (setup(record, exact=exact, keys=keys) for record in (first, second))
        if a is not None and b is not None:
            return a, b
    return None


def _shown(values: frozenset[str]) -> str:
    texts = [json.loads(text) for text in sorted(values)]
    return " or ".join(
        "nothing"
        if v is None
        else f"{v:g}"
        if isinstance(v, float)
        else f"{len(v)} of them, from {v[:3]}"
        if isinstance(v, list) and len(v) > SHOWN
        else str(v)
        for v in texts
    )


def check_setups(records: Sequence[StudyRecords], *, force: bool = False) -> list[str]:
    """Return notes on how the conditions of studies differ; raise `ConfigError` if they do, unless forced.

    A study without a finished trial is under no condition yet.
    """
    known = [record for record in records if record.complete]
    notes: list[str] = []
    for other in known[1:]:
        names = f"'{known[0].study}' and '{other.study}'"
        texts = differences(known[0], other)
        if texts is None:
            notes.append(f"whether {names} were measured under the same conditions is not known")
        elif texts:
            more = f"; and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
            text = "; ".join(texts[:SHOWN]) + more
            if not force:
                raise ConfigError(
                    f"studies compare only under the same data, judge and attacks; {text}; "
                    "--force compares them all the same"
                )
            notes.append(f"{names} were measured under different conditions: {text}")
    return notes
