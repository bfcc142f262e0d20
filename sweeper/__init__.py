"""The sweep: study files, search, Ray, MLflow, fronts, comparison and reports."""

import os

# Ray reads this at import time; its `uv run` hook would rebuild the environment for every worker.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
