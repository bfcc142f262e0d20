"""The sweep: study files, search, Ray, MLflow, fronts, comparison and reports."""

import os
from typing import TYPE_CHECKING

# Ray reads this at import time; its `uv run` hook would rebuild the environment for every worker.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

if TYPE_CHECKING:
    from sweeper.results.records import StoredStudy


def open_study(name: str, home: str | None = None) -> "StoredStudy":
    """Return the stored study `name`, for notebooks: ``.trials()``, ``.front()`` (pandas), ``.records()``."""
    from sweeper.results.records import open_study as opened

    return opened(name, home)
