"""Figures of analyses, kept as notes of a stored study: one for each trial that an analysis looked at."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweeper.search.reading import write_note
from trainables.storage.store import content_key

PREFIX = "analysis."
WRITTEN = "analyses_written"  # the digest of all figures that the report and MLflow have

Row = dict[str, Any]


@dataclass(frozen=True)
class AnalysisNote:
    """Figures of one analysis of one trial: a row for each attack. of: key of what they were measured on."""

    of: str
    rows: list[Row]


def keep(url: str, study: str, analysis: str, trial: int, note: AnalysisNote) -> None:
    """Keep the figures of an analysis with the stored study, in place of older ones of that trial."""
    write_note(url, study, f"{PREFIX}{analysis}.{trial}", asdict(note))


def kept(notes: Mapping[str, Any]) -> dict[str, dict[int, AnalysisNote]]:
    """Return analysis -> trial -> its figures, of all notes of a study; trials by number."""
    found: dict[str, dict[int, AnalysisNote]] = {}
    for attribute, note in notes.items():
        if attribute.startswith(PREFIX):
            name, _, trial = attribute.removeprefix(PREFIX).rpartition(".")
            found.setdefault(name, {})[int(trial)] = AnalysisNote(**note)
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def kept_rows(notes: Mapping[str, Any], trials: Iterable[int]) -> dict[str, list[Row]]:
    """Return analysis -> rows ``{"trial", "attack", **figures}`` of those `trials` that it looked at."""
    known = set(trials)
    rows = {
        name: [
            {"trial": trial, **row} for trial, note in found.items() if trial in known for row in note.rows
        ]
        for name, found in kept(notes).items()
    }
    return {name: figures for name, figures in rows.items() if figures}


def digest(notes: Mapping[str, Any]) -> str:
    """Return a key of all kept figures, which changes when any of them does."""
    return content_key(notes={name: note for name, note in notes.items() if name.startswith(PREFIX)})
