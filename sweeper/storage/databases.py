"""Databases by their URLs: how to build and open them, and whether they can be used at all."""

import os
import re
import shlex
import sqlite3
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from trainables.errors import ConfigError, DiskError
from trainables.storage.urls import redact

CONNECT_SECONDS = 10  # until a server that says nothing counts as unreachable
ALONE_SECONDS = 60.0  # until nobody is waited for any more who opens a new database
TABLES = {"Optuna": "version_info", "MLflow": "experiment_tags"}  # one that the other program does not have


def engine_options(url: str) -> dict[str, Any]:
    """Return the options of SQLAlchemy's engine for `url`: bounded waits, and no dead connection is used."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 60}}
    return {"connect_args": {"connect_timeout": CONNECT_SECONDS}, "pool_pre_ping": True}


def sqlite_url(path: Path) -> str:
    """Return the URL of the SQLite database at `path`, whatever signs are in it."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite database; None for one in memory and for every other URL."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(url)
    except ArgumentError:
        return None
    if parts.get_backend_name() != "sqlite" or _in_memory(parts):
        return None
    name = str(parts.database).removeprefix("file:") if "uri" in parts.query else str(parts.database)
    return Path(name).resolve()


def read_only_url(url: str) -> str | None:
    """Return the URL by which a SQLite database is read that lies where this process may not write.

    SQLite makes files beside a database that it opens in WAL mode, and refuses where it cannot; where nobody
    has it open, the file alone is all of it. None for one that can be opened as it is.
    """
    from sqlalchemy import URL

    file = sqlite_file(url)
    if file is None or not file.is_file() or os.access(file.parent, os.W_OK):
        return None
    log = file.with_name(f"{file.name}-wal")
    if log.is_file() and log.stat().st_size:
        return None
    query = {"immutable": "1", "uri": "true"}
    return URL.create("sqlite", database=file.as_uri(), query=query).render_as_string(hide_password=False)


def check_storage(url: str) -> None:
    """Raise `ConfigError` for a database of studies that cannot be kept.

    Such is one in memory, which would end with its process, and one in a folder that is not there.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(url)
    except ArgumentError:
        raise ConfigError(
            f"expected the URL of a database in OPTUNA_STORAGE, such as sqlite:////folder/studies.db; got "
            f"{redact(url)!r}"
        ) from None
    if parts.get_backend_name() == "sqlite" and _in_memory(parts):
        raise ConfigError(
            f"expected a database that outlives this process in OPTUNA_STORAGE, got {redact(url)}, which "
            "lies in memory: every result would be lost; name a file, as in sqlite:////folder/studies.db"
        )
    file = sqlite_file(url)
    if file is not None and not file.parent.is_dir():
        raise ConfigError(
            f"expected a folder for the database {file} (OPTUNA_STORAGE), found none; make {file.parent}, or "
            "name another file"
        )
    _check_owner(url, "Optuna", "OPTUNA_STORAGE")


def check_tracking(tracking: str, storage: str) -> None:
    """Raise `ConfigError` within seconds if `tracking` is a database that MLflow cannot use, with its reason.

    storage: the database of the studies, which must be another one: Optuna and MLflow both keep the version
    of their tables in a table of one name. A `tracking` that is no database is not looked at.
    """
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import ArgumentError, DBAPIError

    if not re.match(r"(postgres|mysql|mssql|sqlite)", tracking):
        return
    try:
        if _place(make_url(tracking)) == _place(make_url(storage)):
            raise ConfigError(
                "expected two databases, one for the studies (OPTUNA_STORAGE) and one for MLflow "
                f"(MLFLOW_TRACKING_URI), got {redact(tracking)} for both; "
                + ("name another file" if tracking.startswith("sqlite") else "create another with createdb")
            )
        if tracking.startswith("sqlite"):
            _check_file(tracking)
            return
        engine = create_engine(tracking, **engine_options(tracking))
        try:
            engine.connect().close()
        finally:
            engine.dispose()
    except (DBAPIError, ArgumentError, ImportError) as error:
        raise ConfigError(
            f"expected a database for MLflow at {redact(tracking)}, got: {reason(error)}; "
            "start it, correct MLFLOW_TRACKING_URI, or set tracking.mlflow to false"
        ) from None


def _check_file(url: str) -> None:
    """Raise `ConfigError` unless MLflow can keep its records in the SQLite file of `url`."""
    file = sqlite_file(url)
    if file is None:
        raise ConfigError(
            f"expected a database that outlives this process in MLFLOW_TRACKING_URI, got {redact(url)}, "
            "which lies in memory; name a file, as in sqlite:////folder/mlflow.db"
        )
    if not file.parent.is_dir():
        raise ConfigError(
            f"expected a folder for MLflow's database {file}, found none; make {file.parent}, correct "
            "MLFLOW_TRACKING_URI, or set tracking.mlflow to false"
        )
    _check_owner(url, "MLflow", "MLFLOW_TRACKING_URI")


def _check_owner(url: str, owner: str, variable: str) -> None:
    """Raise `ConfigError` if the SQLite file of `url` is no database, or has another program's tables."""
    file = sqlite_file(url)
    if file is None or not file.is_file():
        return
    try:
        with closing(
            sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=CONNECT_SECONDS)
        ) as opened:
            tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master")}
    except sqlite3.OperationalError:
        return  # busy, or not ours to read: whoever opens it says so
    except sqlite3.DatabaseError as error:
        raise ConfigError(
            f"expected a database of SQLite at {file} ({variable}), got: {error}; name another file"
        ) from None
    for other, table in TABLES.items():
        if other != owner and table in tables:
            raise ConfigError(
                f"expected a database of {owner} at {redact(url)} ({variable}), got one of {other}; "
                "each keeps its own: name another file"
            )


def reason(error: BaseException) -> str:
    """Return in one line what a database or its driver said, and which package may be missing."""
    text = textwrap.shorten(redact(str(error.__cause__ or error)), 300, placeholder=" …")
    if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("psycopg"):
        return f"{text} (pip install 'inversion-sweeper[postgresql]')"
    return text


def _in_memory(parts: Any) -> bool:
    """Return whether the parsed URL is that of a SQLite database without a file."""
    return not parts.database or ":memory:" in parts.database or parts.query.get("mode") == "memory"


def _place(parts: Any) -> Mapping[str, Any]:
    """Return what two parsed URLs of one database have in common."""
    backend = parts.get_backend_name()
    if backend == "sqlite":
        return {"file": sqlite_file(parts.render_as_string(hide_password=False)) or parts}
    return {
        "backend": backend,
        "host": parts.host or parts.query.get("host"),
        "port": parts.port or {"postgresql": 5432, "mysql": 3306}.get(backend),
        "database": parts.database,
    }


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn what a database says into a `DiskError` (full) or a `ConfigError` (unreachable, unusable)."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, DBAPIError

    try:
        yield
    except (DBAPIError, ArgumentError, sqlite3.Error, ImportError, StorageInternalError) as error:
        text = reason(error)
        if "disk is full" in text or "disk I/O error" in text:
            raise DiskError(
                f"the database {redact(url)} could not be written: {text}; free space, start again"
            ) from error
        raise ConfigError(
            f"expected a database for the study at {redact(url)}, got: {text}; "
            "check OPTUNA_STORAGE and --home"
        ) from error
    except RuntimeError as error:
        remedy = _version_remedy(url, error)
        if remedy is None:
            raise
        raise ConfigError(
            f"expected a database of this version of Optuna at {redact(url)}, got one of another: {remedy}"
        ) from None


def _version_remedy(url: str, error: BaseException) -> str | None:
    """Return what to do about tables of another version of Optuna; None if `error` says something else."""
    text = str(error)
    if "optuna storage upgrade" in text:
        return f"make a copy of it, then: optuna storage upgrade --storage {shlex.quote(redact(url))}"
    if "updating optuna" in text:
        return (
            "a newer Optuna made it, or another program did; pip install -U optuna, or name another database "
            "in OPTUNA_STORAGE"
        )
    return None


def write_ahead(url: str) -> None:
    """Put a SQLite database into WAL mode: one fsync a commit, and readers never wait. Others stay."""
    file = sqlite_file(url)
    if file is not None:
        with closing(sqlite3.connect(file, timeout=20)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Let one process at a time open a SQLite database. Servers stay.

    Optuna and MLflow make their tables at first touch, and of two at once one fails. Where no lock can be,
    none is held: who may not write there makes no tables either.
    """
    file = sqlite_file(url)
    with ExitStack() as stack:
        if file is not None:
            with suppress(OSError):
                stack.enter_context(FileLock(f"{file}.lock", timeout=ALONE_SECONDS))
        yield
