"""MLflow's database in a file: whenever a start is killed, the next one finds it whole or not there."""

import os
import sqlite3
from contextlib import closing

from sqlalchemy import event
from sqlalchemy.engine import Engine

from sweeper.tracking.mlflow_tracker import EXPERIMENT, Tracker


def test_it_is_there_whole_or_not_at_all(home, cheap):
    file = home.root / "mlflow.db"
    (home.root / f".{file.name}.{os.getpid()}").write_text("what a killed process of this number left")
    seen = []

    def look(*_):
        """Note, after each statement of MLflow's, what a kill would leave."""
        if file.exists():
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as opened:
                tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master")}
                version = list(opened.execute("SELECT version_num FROM alembic_version"))
            seen.append((frozenset(tables), *version))
        else:
            seen.append(None)

    event.listen(Engine, "after_cursor_execute", look)
    try:
        tracker = Tracker(cheap(tracking={"mlflow": True}), home)
        tracker.check_open()
        tracker.close()
    finally:
        event.remove(Engine, "after_cursor_execute", look)
    assert tracker.problem == ""
    assert seen.count(None) > 100, "the tables were not made while this looked"
    assert set(seen) == {None, seen[-1]}
    with closing(sqlite3.connect(file)) as opened:
        assert (EXPERIMENT,) in list(opened.execute("SELECT name FROM experiments"))
    assert [path.name for path in home.root.iterdir() if path.name.startswith(".mlflow")] == []
