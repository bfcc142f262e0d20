"""Sources of a trial: files and folders that its configuration names, by the bytes that lie there."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainables.attacks.plan import AttackPlan
from trainables.config import TrialConfig
from trainables.datasets.base import Dataset
from trainables.method import FILE, knobs_marked
from trainables.storage.digests import digest

DIGITS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A file or folder that a knob names.

    Attributes:
        value: the knob as it is written.
        path: absolute.
        fingerprint: of the bytes, the same wherever they lie; None where nothing is there.
        people, images: how many a data set has there; None for what is no data set.
    """

    value: str
    path: str
    fingerprint: str | None
    people: int | None = None
    images: int | None = None


def sources(config: TrialConfig, memory: Path | None = None) -> dict[str, Source]:
    """Return knob, as ``private.root`` -> what it names; {} for a trial that reads no files.

    memory: a folder in which digests are remembered. Nothing is decoded. Raises `ConfigError` for a folder of
    images without a layout.
    """
    return {knob: source(holder, value, memory) for knob, holder, value in named_files(config)}


def named_files(config: TrialConfig) -> Iterator[tuple[str, Any, str]]:
    """Yield (knob, the method that has it, the path) of every file knob with a path in it."""
    return _named(config, "", config)


def _named(holder: Any, prefix: str, config: TrialConfig) -> Iterator[tuple[str, Any, str]]:
    files = knobs_marked(holder, FILE)
    for field in dataclasses.fields(holder):
        value, knob = getattr(holder, field.name), prefix + field.name
        if isinstance(holder, AttackPlan) and value == config.prior:
            continue  # no prior of its own
        if isinstance(value, tuple) and value and all(isinstance(plan, AttackPlan) for plan in value):
            for number, plan in enumerate(value):
                yield from _named(plan, f"{knob}[{number}]." if len(value) > 1 else f"{knob}.", config)
        elif dataclasses.is_dataclass(value):
            yield from _named(value, f"{knob}.", config)
        elif field.name in files and isinstance(value, str) and value:
            yield knob, holder, value


def source(holder: Any, value: str, memory: Path | None = None) -> Source:
    """Return what the path `value` of the method `holder` names; see `sources`."""
    place = Path(value).expanduser()
    path = os.path.abspath(place)
    if not place.exists():
        return Source(value=value, path=path, fingerprint=None)
    contents = holder.contents(memory) if isinstance(holder, Dataset) else None
    if contents is None:
        return Source(value=value, path=path, fingerprint=digest(place, memory)[:DIGITS])
    return Source(
        value=value,
        path=path,
        fingerprint=contents.fingerprint,
        people=contents.people,
        images=contents.images,
    )
