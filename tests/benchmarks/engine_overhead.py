"""Seconds that the engine (Ray Tune, Optuna on SQLite, MLflow) adds to a trial that does nothing itself.

    python tests/benchmarks/engine_overhead.py [trials]

Goals on 2 cores: at most 0.7 s a trial, and at most 1.2 times as much around trial 200 as around trial 20.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sweeper.engine.progress import Silent
from sweeper.engine.sweep import sweep
from sweeper.storage.home import Home
from sweeper.study.loading import parse_study
from sweeper.study.study import Study

SPACE = [
    {"target.learning_rate": {"float": [1e-4, 1e-1], "log": True}},
    {"target.epochs": {"int": [5, 50]}},
    {"target.schedule": {"choice": ["constant", "cosine"]}},
    "defenses",
]


def nothing(trial: dict[str, Any], *, store_root: str, device: str, report: Any) -> dict[str, Any]:
    """Return a result of the usual size at once."""
    rate = trial["target"]["learning_rate"]
    return {
        "values": {"test_accuracy": 1 - rate, "attack_accuracy": rate},
        "interval": {"attack_accuracy": [rate / 2, rate * 2]},
        "metrics": {"validation_accuracy": 1 - rate, **{f"metric_{i}": rate for i in range(10)}},
        "trained_params": 1_000_000,
        "total_params": 2_000_000,
        "seconds": {"target": 1.0, "attack": 2.0, "judge": 0.1},
        "freeze_point": "none",
        "defense": trial["defense"]["kind"],
        "history": {
            "target": [{"loss": 1.0, "validation_accuracy": 0.5}] * 15,
            "attack": [{"loss": 1.0}] * 15,
        },
        "artifacts": {},
        "warnings": [],
    }


class Clock(Silent):
    """Notes when each trial ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def ended(self, who: str, text: str) -> None:
        self.ends.append(time.perf_counter())


def around(ends: list[float], number: int, width: int = 20) -> float:
    """Return seconds per trial in a window of `width` trials around trial `number`, or up to the last."""
    last = min(len(ends) - 1, number + width // 2)
    first = max(0, last - width)
    return (ends[last] - ends[first]) / (last - first)


def main(trials: int) -> None:
    """Run the sweep and print what a trial costs."""
    study: Study = parse_study(
        {
            "name": "overhead",
            "trial": {
                "image_size": 32,
                "target": {"architecture": "small_cnn", "learning_rate": 0.1},
                "defense": {"kind": "none"},
            },
            "space": SPACE,
            "search": {"trials": trials},
        },
        "benchmark",
    )
    clock = Clock()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        outcome = sweep(study, Home(Path(folder)), run=nothing, display=clock, shared=False)
        total = time.perf_counter() - began
    assert len(outcome.records.trials) >= trials, "every trial must be recorded"
    assert not outcome.problems, outcome.problems
    steady = (clock.ends[-1] - clock.ends[0]) / (len(clock.ends) - 1)
    early, late = around(clock.ends, 20), around(clock.ends, trials)
    print(f"cores {os.cpu_count()}, load average before {load:.1f}")
    print(f"{trials} trials in {total:.1f} s, start and end included")
    print(
        f"seconds per trial: {steady:.3f} over all, {early:.3f} around trial 20, {late:.3f} around {trials}"
    )
    print(f"ratio {late / early:.2f} (goal: at most 1.2); goal for the seconds: at most 0.7")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
