"""Published results to set beside measured ones: the tables of the TL-DMI paper, each row with its doubts.

Ho et al., Model Inversion Robustness: Can Transfer Learning Help? CVPR 2024.
Accuracies are fractions in [0, 1]. A row belongs to a set-up (attack, data, architecture, pre-training, and
how it was measured); rows of different set-ups never share a front.
"""

import csv
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord
from trainables.errors import ConfigError
from trainables.storage.documents import suggestion

if TYPE_CHECKING:
    import pandas

Row = dict[str, Any]

FOLDER = Path(__file__).parent / "published"

SETUP = ("attack", "private", "public", "architecture", "pretraining", "protocol")
FILTERS = (*SETUP, "defense", "source")
WORDS = (*FILTERS, "settings", "flags")  # columns of text; all others hold numbers
OURS = {"BiDO": "bido", "MID": "mid"}  # defenses that a study has too look the same in a plot
OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}

# Doubts about a row, whether in the paper or in how it was read.
FLAGS = {
    "accuracy_varies": "other tables print another accuracy for the same model",
    "accuracy_copied": "the accuracies are those of another architecture",
    "above_undefended": "the defended model is the more accurate one, so its ratio has no meaning",
    "ratio_wrong": "the ratio does not follow from the accuracies beside it",
    "ratio_rounded": "the ratio follows from the accuracies only within rounding",
    "top5_doubtful": "the top-5 figures look misprinted",
    "setup_inferred": "part of the set-up is read from other tables",
    "setup_unknown": "part of the set-up is not stated",
    "columns_assumed": "which figure is which is assumed",
    "approximate": "accuracies are given as rounded",
    "figure_only": "the attack accuracy is only in a figure",
}


@dataclass(frozen=True, kw_only=True)
class PublishedTrial(TrialRecord):
    """A row of a table, as a trial.

    Attributes:
        flags: keys of `FLAGS` that apply to it.
        source: the table.
    """

    flags: Sequence[str] = ()
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what is printed of it, and how it was read."""
        return {
            "number": self.number,
            "state": self.state,
            "params": dict(self.params),
            "values": dict(self.values),
            "interval": dict(self.interval),
            "freeze_point": self.freeze_point,
            "defense": self.defense,
            "flags": list(self.flags),
            "source": self.source,
        }


@dataclass(frozen=True, kw_only=True)
class PublishedRecords(StudyRecords):
    """The rows of one set-up, as a study.

    Attributes:
        trials: its rows.
        setup: column of `SETUP` -> value.
    """

    trials: Sequence[PublishedTrial] = ()
    setup: Mapping[str, str] = field(default_factory=dict)


@functools.cache
def _rows() -> tuple[Row, ...]:
    """Return every row of every table, numbers as float and what is not printed as None."""
    rows: list[Row] = []
    for path in sorted(FOLDER.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += [
                {name: text if name in WORDS else float(text) if text else None for name, text in row.items()}
                for row in csv.DictReader(file)
            ]
    return tuple({**row, "flags": [flag for flag in row["flags"].split(";") if flag]} for row in rows)


def frame() -> "pandas.DataFrame":
    """Return all rows as a table, for notebooks."""
    import pandas

    return pandas.DataFrame([{**row, "flags": ";".join(row["flags"])} for row in _rows()])


def check_queries(queries: Sequence[str], where: str) -> None:
    """Raise `ConfigError` for the first of a study's ``published`` that selects nothing."""
    for position, query in enumerate(queries):
        points(query, f"{where}: published[{position}]")


def points(query: str, where: str = "--published") -> list[PublishedRecords]:
    """Return the rows that `query` selects, as one record for each set-up.

    query: ``column=value`` pairs with commas between them, as in ``attack=KEDMI,architecture=VGG16``;
    columns are `FILTERS`, and upper or lower case and dashes do not matter. A row needs both accuracies.
    Raises `ConfigError` naming what there is, and `where` it was asked for, for an unknown column or value
    and for a query that no row meets.
    """
    filters = _parse(query, where)
    rows = [row for row in _rows() if row["test_accuracy"] is not None and row["attack_accuracy"] is not None]
    met: list[str] = []
    for column, value in filters.items():
        possible = sorted({row[column] for row in rows if row[column]})
        rows = [row for row in rows if _plain(row[column]) == _plain(value)]
        if not rows:
            given = f" with {', '.join(met)}" if met else ""
            raise ConfigError(
                f"no published row{given} has {column}={value}{suggestion(value, possible)}; "
                f"possible values: {', '.join(possible)} ({where})"
            )
        met.append(f"{column}={value}")
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in SETUP), []).append(row)
    return [_record(group) for group in groups.values()]


def _parse(query: str, where: str) -> dict[str, str]:
    filters: dict[str, str] = {}
    for item in query.split(","):
        column, sign, value = (part.strip() for part in item.partition("="))
        if not sign or not value:
            raise ConfigError(
                f"a query of published rows expects column=value pairs, as in "
                f"attack=KEDMI,architecture=VGG16; got {item.strip()!r} ({where}; columns: "
                f"{', '.join(FILTERS)})"
            )
        if column not in FILTERS:
            raise ConfigError(
                f"a query of published rows knows the columns {', '.join(FILTERS)}; got '{column}'"
                f"{suggestion(column, FILTERS)} ({where})"
            )
        filters[column] = value
    return filters


def _plain(name: str) -> str:
    """Return a name without case, dashes and blanks."""
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def _record(rows: Sequence[Row]) -> PublishedRecords:
    setup = {name: rows[0][name] for name in SETUP}
    return PublishedRecords(
        study=_title(setup),
        objectives=dict(OBJECTIVES),
        setup=setup,
        trials=tuple(_trial(number, row) for number, row in enumerate(rows)),
    )


def _title(setup: Mapping[str, str]) -> str:
    """Return the name of a set-up: ``KEDMI on VGG16 (ImageNet-1K), CelebA from FFHQ, single run``."""
    start = {"none": "from scratch", "": "unknown start"}.get(setup["pretraining"], setup["pretraining"])
    text = f"{setup['attack']} on {setup['architecture'] or 'an unnamed architecture'} ({start})"
    return f"{text}, {setup['private']} from {setup['public'] or 'unnamed images'}, {setup['protocol']}"


def _trial(number: int, row: Row) -> PublishedTrial:
    settings = dict(item.split("=", 1) for item in row["settings"].split(";") if item)
    if row["trained_millions"] is not None and "TL-DMI" in row["defense"]:
        settings["trained"] = f"{row['trained_millions']:g} M"
    return PublishedTrial(
        number=number,
        state="complete",
        params={f"defense.{name}": value for name, value in settings.items()},
        values={name: row[name] for name in OBJECTIVES},
        freeze_point="none",
        defense=OURS.get(row["defense"], row["defense"]),
        flags=row["flags"],
        source=row["source"],
    )


def doubts(record: PublishedRecords) -> Iterator[str]:
    """Yield a text for each flag of the rows of a record of `points`."""
    flagged: dict[str, list[str]] = {}
    for trial in record.trials:
        for flag in trial.flags:
            flagged.setdefault(flag, []).append(f"{trial.defense} of {trial.source}")
    for flag, rows in flagged.items():
        yield f"{flag} ({', '.join(dict.fromkeys(rows))}): {FLAGS[flag]}"


def departures(setup: Mapping[str, str], definition: Mapping[str, Any] | None) -> list[str]:
    """Return in what a study differs from a published set-up, as far as names tell.

    definition: the document that the study keeps (its ``trial`` is read). The judge of a study is never that
    of a paper, and a name of a data set says nothing of its images, so there is always something.
    """
    always = ["judge: the paper's own"]
    template = (definition or {}).get("trial")
    if not template:
        return [*always, "the study's own set-up is not known"]
    attacks = template["attack"] if isinstance(template["attack"], list) else [template["attack"]]
    ours = {
        "attack": " and ".join(str(attack.get("kind")) for attack in attacks),
        "architecture": str(template["target"].get("architecture")),
        "private": _data(template["private"]),
        "public": _data(template["public"]),
        "pretraining": _start(template["pretraining"]),
    }
    texts = [
        f"{name}: {setup[name] or 'not stated'} there, {value} here"
        for name, value in ours.items()
        if _plain(setup[name]) != _plain(value.removesuffix("_bn"))
    ]
    return [*texts, *always]


def _data(knobs: Mapping[str, Any]) -> str:
    where = knobs.get("root")
    return f"{knobs.get('kind')} {where}" if where else str(knobs.get("kind"))


def _start(knobs: Mapping[str, Any]) -> str:
    return " ".join(str(knobs[name]) for name in ("kind", "weights", "path") if knobs.get(name))
