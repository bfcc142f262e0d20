"""A home's own database of MLflow, where the home was moved or copied."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sweeper.storage.home import Home


def follow_home(home: Home, experiment: str) -> None:
    """Let the database of MLflow in `home` name the place where the home lies now.

    MLflow notes whole paths, of an experiment's artifacts and of a run's, and has no call to change them. A
    moved home would go on writing where it lay, a copy into its original, and both would take their studies
    for another home's.
    """
    now = home.artifacts.as_uri()
    with closing(sqlite3.connect(home.root / "mlflow.db", timeout=60)) as database, database:
        (before,) = database.execute(
            "SELECT artifact_location FROM experiments WHERE name = ?", (experiment,)
        ).fetchone()
        place = Path(unquote(urlsplit(before).path))
        if before == now or place.name != home.artifacts.name:
            return
        database.execute(
            "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE instr(artifact_uri, ?) = 1",
            (now, len(before) + 1, f"{before}/"),
        )
        database.execute(
            "UPDATE tags SET value = ? WHERE key = 'storage' AND value = ?",
            (home.storage_digest, Home(place.parent).storage_digest),
        )
        database.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", (now, experiment))
