"""Databases by their URLs: how to open them, how to show them, whether they can be used at all."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from trainables.errors import ConfigError, DiskError

CONNECT_SECONDS = 10  # until a server that says nothing counts as unreachable


def engine_options(url: str) -> dict[str, Any]:
    """Return the options of SQLAlchemy's engine for `url`: bounded waits, and no dead connection is used."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 60}}
    return {"connect_args": {"connect_timeout": CONNECT_SECONDS}, "pool_pre_ping": True}


def redact_password(url: str) -> str:
    """Return `url` without its password, for messages and logs."""
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)


def check_tracking(tracking: str, storage: str) -> None:
    """Raise `ConfigError` within seconds if `tracking` is a database that MLflow cannot use, with its reason.

    storage: the database of the studies, which must be another one: Optuna and MLflow both keep the version
    of their tables in a table of one name. A `tracking` that is no database server is not looked at.
    """
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import ArgumentError, DBAPIError

    if not re.match(r"(postgres|mysql|mssql)", tracking):
        return
    try:
        if _place(make_url(tracking)) == _place(make_url(storage)):
            raise ConfigError(
                "expected two databases, one for the studies (OPTUNA_STORAGE) and one for MLflow "
                f"(MLFLOW_TRACKING_URI), got {redact_password(tracking)} for both; "
                "create another with createdb"
            )
        engine = create_engine(tracking, **engine_options(tracking))
        try:
            engine.connect().close()
        finally:
            engine.dispose()
    except (DBAPIError, ArgumentError, ImportError) as error:
        raise ConfigError(
            f"expected a database for MLflow at {redact_password(tracking)}, got: {reason(error)}; "
            "start it, correct MLFLOW_TRACKING_URI, or set tracking.mlflow to false"
        ) from None


def reason(error: BaseException) -> str:
    """Return in one line what a database or its driver said, and which package may be missing."""
    text = " ".join(str(error.__cause__ or error).split())[:300]
    if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("psycopg"):
        return f"{text} (pip install 'inversion-sweeper[postgresql]')"
    return text


def _place(url: Any) -> Mapping[str, Any]:
    """Return what two URLs of one database have in common."""
    defaults = {"postgresql": 5432, "mysql": 3306}
    backend = url.get_backend_name()
    return {
        "backend": backend,
        "host": url.host or url.query.get("host"),
        "port": url.port or defaults.get(backend),
        "database": url.database,
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
                f"the database {redact_password(url)} could not be written: {text}; free space, start again"
            ) from error
        raise ConfigError(
            f"expected a database for the study at {redact_password(url)}, got: {text}; "
            "check OPTUNA_STORAGE and --home"
        ) from error


def write_ahead(url: str) -> None:
    """Put a SQLite database into WAL mode: one fsync a commit, and readers never wait. Others stay."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
