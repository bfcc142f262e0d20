"""A new database of MLflow in a file: there whole, or not at all."""

import os
from pathlib import Path

from sweeper.storage.databases import sqlite_file, sqlite_url


def make_database(uri: str) -> None:
    """Let MLflow make the SQLite database at `uri` if there is none: apart, until it is whole.

    MLflow makes its tables in some hundred steps, which take seconds, on a busy machine a minute. It cannot
    go on from one of them: whoever was killed there would leave a home in which no sweep starts any more.
    """
    file = sqlite_file(uri)
    if file is None or file.exists():
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        _make(draft)
        if not file.exists():  # another driver was waited for too long, and has its own there
            os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _make(draft: Path) -> None:
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    draft.unlink(missing_ok=True)  # of a killed process of the same number
    SqlAlchemyStore(sqlite_url(draft), DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()
