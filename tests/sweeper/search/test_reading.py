"""What a stored study is read from, and kept in, may be full, locked or gone at any moment."""

import optuna
import pytest
import sqlalchemy as sql

from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import stored_notes, stored_studies, stored_trials, write_note
from trainables.errors import ConfigError, DiskError

TOUCHED = ("get_all_studies", "get_study_id_from_name", "get_study_user_attrs", "set_study_user_attr")
ACTS = {
    "note": lambda book, url: book.note("due", True),
    "notes": lambda book, url: book.notes,
    "sources": lambda book, url: book.record_sources(),
    "sources_recorded": lambda book, url: book.sources_recorded,
    "stored_studies": lambda book, url: stored_studies(url),
    "stored_trials": lambda book, url: stored_trials(url, "cheap"),
    "stored_notes": lambda book, url: stored_notes(url, "cheap"),
    "write_note": lambda book, url: write_note(url, "cheap", "due", True),
}


def full():
    return optuna.exceptions.StorageInternalError("An exception is raised: database or disk is full")


def locked():
    return sql.exc.OperationalError("UPDATE studies", {}, Exception("database is locked"))


@pytest.mark.parametrize(("said", "raised"), [(full, DiskError), (locked, ConfigError)])
@pytest.mark.parametrize("act", ACTS)
def test_a_database_that_fails_is_named(act, said, raised, home, cheap, monkeypatch):
    book = OptunaStudy(cheap(), home.storage, home.study("cheap") / "history")

    def fails(*_, **__):
        raise said()

    for name in TOUCHED:
        monkeypatch.setattr(optuna.storages.RDBStorage, name, fails)
    with pytest.raises(raised, match=r"database.*optuna\.db.*(is full; free space|is locked)"):
        ACTS[act](book, home.storage)
