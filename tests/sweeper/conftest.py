"""Cheap sweeps: a study whose trials take no time, and one Ray cluster for the whole test session."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sweeper  # noqa: F401  (sets Ray's switches before anything imports ray)
from sweeper.home import Home
from sweeper.study import Study, parse_study


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("OPTUNA_STORAGE", "MLFLOW_TRACKING_URI", "SWEEPER_HOME", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    place = Home(tmp_path / "home")
    place.prepare()
    return place


@pytest.fixture
def cheap() -> Callable[..., Study]:
    """Return a maker of studies whose template is empty; changes go into the document."""

    def make(**changes: Any) -> Study:
        document: dict[str, Any] = {
            "name": "cheap",
            "trial": {},
            "space": [{"x": {"float": [0, 1]}}, {"k": {"choice": ["a", "b"]}}],
            "search": {"trials": 6},
            "tracking": {"mlflow": False},
        }
        return parse_study(document | changes, "test")

    return make


@pytest.fixture
def result() -> Callable[..., dict[str, Any]]:
    """Return a maker of what a trial gives: accuracy `x`, attack accuracy its square."""

    def make(x: float, **changes: Any) -> dict[str, Any]:
        found = {
            "values": {"test_accuracy": x, "attack_accuracy": x * x},
            "interval": {"attack_accuracy": [x * x / 2, min(1.0, x * x * 2)]},
            "metrics": {"knn_distance": 2.0},
            "trained_params": 10,
            "total_params": 20,
            "seconds": {"target": 0.5, "attack": 0.25},
            "freeze_point": "none",
            "defense": "none",
            "history": {"target": [{"loss": 2.0}, {"loss": 1.0}]},
            "artifacts": {},
            "warnings": [],
        }
        return found | changes

    return make


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """Start one Ray cluster for the session and return its address; this process is connected to it."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
    os.environ.setdefault("RAY_worker_niceness", "0")  # a busy machine starves workers that are nice
    import ray

    from sweeper.cluster import start_here

    start_here(num_cpus=2, object_store_memory=100_000_000, log_to_driver=False)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()
