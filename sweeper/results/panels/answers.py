"""Answers to panels: read from CSV, checked, and kept with the study."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from filelock import FileLock

from sweeper.results.panels.figures import Answer, figures
from sweeper.results.panels.key import FOLDER, read_keys
from sweeper.results.records import check_exists
from sweeper.storage.home import Home
from trainables.errors import ConfigError
from trainables.storage.disk import disk_errors

COLUMNS = ("panel", "answer", "reader")
OF_ONE, OF_TWO = ("yes", "no", "refused"), ("first", "second", "none")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Result of an import: how many answers were added, how many panels had none, and all figures now."""

    added: int
    unanswered: int
    figures: Mapping[str, Any]


def import_answers(home: Home, study: str, file: Path, *, reader: str | None = None) -> Imported:
    """Add the answers in `file` to those kept with `study`.

    reader: who gave those whose row names nobody; None takes the file's name. Raises `ConfigError` for a file
    that is no such CSV, for panels that the study never exported, and for a second answer of one reader to
    one panel, in the file or before; nothing is kept then.
    """
    from sweeper.search.reading import PANELS, stored_notes, write_note

    check_exists(home, study)
    keys = read_keys(home, study)
    if not keys:
        raise ConfigError(
            f"expected panels of '{study}' whose answers these are, found no key in "
            f"{home.study(study) / FOLDER}; `sweeper export panels {study} -o DIR "
            f"{home.option}` makes some"
        )
    answers, unanswered = read_answers(file, keys, reader=reader or file.stem)
    folder = home.study(study) / FOLDER
    with disk_errors(folder), FileLock(folder / "lock"):
        notes = stored_notes(home.storage, study).get(PANELS) or {"answers": []}
        before = [Answer.from_json(document) for document in notes["answers"]]
        given = {(answer.panel, answer.reader) for answer in before}
        again = next((answer for answer in answers if (answer.panel, answer.reader) in given), None)
        if again is not None:
            raise ConfigError(
                f"expected one answer of a reader to a panel, got another one of '{again.reader}' to "
                f"{again.panel}, which the study has already ({file}); give this reader another name "
                "(--reader, or the column reader)"
            )
        everything = [*before, *answers]
        counted = figures(everything)
        documents = [answer.to_json() for answer in everything]
        write_note(home.storage, study, PANELS, {"answers": documents, "figures": counted})
    return Imported(added=len(answers), unanswered=unanswered, figures=counted)


def read_answers(
    file: Path, keys: Mapping[str, Mapping[str, Any]], *, reader: str
) -> tuple[list[Answer], int]:
    """Return the answers in the CSV `file`, and how many rows have none.

    keys: what each panel is. reader: of rows that name nobody. Other columns than `COLUMNS` are left aside.
    """
    rows = _rows(file)
    answers: dict[tuple[str, str], Answer] = {}
    unanswered = 0
    for number, row in rows:
        name, word = row["panel"].strip(), row["answer"].strip().lower()
        about = keys.get(name)
        if about is None:
            near = get_close_matches(name, keys, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(
                f"expected a panel that this study exported, got '{name}' in line {number} of {file}{hint}"
            )
        if not word:
            unanswered += 1
            continue
        words = OF_TWO if about["kind"] == "pair" else OF_ONE
        if word not in words:
            raise ConfigError(
                f"expected {', '.join(words[:-1])} or {words[-1]} as the answer to {name}, got "
                f"'{row['answer'].strip()}' in line {number} of {file}"
            )
        who = (row.get("reader") or "").strip() or reader
        if (name, who) in answers:
            raise ConfigError(
                f"expected one answer of a reader to a panel, got a second one of '{who}' to {name} in line "
                f"{number} of {file}"
            )
        answers[name, who] = Answer(panel=name, answer=word, reader=who, about=about)
    if not answers:
        raise ConfigError(f"expected at least one answer, got none in {file}; fill in the column answer")
    return list(answers.values()), unanswered


def _rows(file: Path) -> Sequence[tuple[int, dict[str, str]]]:
    """Return the rows of the CSV `file` with their lines, their heads in lower case."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, strict=True)
            heads = [head.strip().lower() for head in reader.fieldnames or ()]
            reader.fieldnames = heads
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"expected answers as CSV in UTF-8 at {file}: {reason}") from None
    if not {"panel", "answer"} <= set(heads) or len(set(heads)) < len(heads):
        raise ConfigError(
            f"expected the columns panel and answer, and reader if there are several, each once, in {file}; "
            f"got {', '.join(heads) or 'no line'}"
        )
    for number, row in rows:
        if None in row or None in row.values():
            raise ConfigError(
                f"expected {len(heads)} cells in line {number} of {file}, as in its first line, got others"
            )
    return rows
