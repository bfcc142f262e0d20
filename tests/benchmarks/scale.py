"""What a study of thousands of trials costs: seconds per trial from first to last, memory, front and report.

    python tests/benchmarks/scale.py [trials] [sampler ...]

Trials give their results at once, without Ray: what is measured is proposing, recording and reading. Goals
for 2,000 trials: the last hundred cost at most 1.5 times what the first hundred did, together with what Ray
and MLflow add to each (`engine_overhead.py` measures that); memory grows by what the trials hold; and
`front`, `compare` and the report take 10 s at most. Milliseconds are processor time.
"""

import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from sweeper.report.report import write_report
from sweeper.results.comparing.compare import compare
from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.storage.home import Home
from sweeper.study.loading import parse_study

SPACE = [
    {"target.learning_rate": {"float": [1e-4, 1e-1], "log": True}},
    {"target.epochs": {"int": [5, 50]}},
    {"target.schedule": {"choice": ["constant", "cosine"]}},
    "defenses",
]
GRID = [
    {"target.epochs": {"ordered": list(range(5, 55))}},
    {"target.batch_size": {"ordered": [8 * i for i in range(1, 41)]}},
]
WINDOW = 100


def result(assignment: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a result of the usual size."""
    rate = assignment.get("target.learning_rate", 0.01)
    accuracy = 1 - (number * 0.6180339887498949) % 1 * (0.1 + rate)
    return {
        "params": assignment,
        "values": {"test_accuracy": accuracy, "attack_accuracy": accuracy**2 * (0.9 + rate)},
        "interval": {"test_accuracy": [accuracy - 0.01, accuracy], "attack_accuracy": [0.0, 1.0]},
        "metrics": {"validation_accuracy": accuracy, **{f"metric_{i}": rate for i in range(10)}},
        "trained_params": 1_000_000 + number,
        "total_params": 2_000_000,
        "seconds": {"target": 1.0, "attack": 2.0, "judge": 0.1},
        "freeze_point": "none",
        "defense": assignment.get("defense.kind", "none"),
        "history": {
            "target": [{"loss": 1.0 / (i + 1), "validation_accuracy": 0.5} for i in range(15)],
            "attack": [{"loss": 1.0 / (i + 1)} for i in range(15)],
        },
        "artifacts": {},
        "warnings": [],
    }


def megabytes() -> float:
    """Return the memory of this process."""
    return float(psutil.Process().memory_info().rss) / 1e6


def fill(home: Home, sampler: str, trials: int) -> None:
    """Run a study of `trials` trials through the ledger, and print what the first and the last ones cost."""
    study = parse_study(
        {
            "name": f"scale_{sampler}",
            "trial": {
                "image_size": 32,
                "target": {"architecture": "small_cnn", "learning_rate": 0.1, "batch_size": 64},
                "defense": {"kind": "none"},
            },
            "space": GRID if sampler == "grid" else SPACE,
            "search": {"trials": trials, "sampler": sampler},
            "tracking": {"mlflow": False},
        },
        "benchmark",
    )
    began = time.perf_counter()
    optuna_study = OptunaStudy(study, home.storage, home.study(study.name) / "history")
    opened = time.perf_counter() - began
    asking: list[float] = []
    telling: list[float] = []
    memory = [megabytes()]
    while not optuna_study.finished:
        start = time.process_time()  # of this process, so that what else runs on the machine counts little
        asked = optuna_study.ask()
        middle = time.process_time()
        if asked is None:
            break
        optuna_study.tell(asked.number, result(asked.assignment, asked.number))
        asking.append(middle - start)
        telling.append(time.process_time() - middle)
        if len(asking) in (trials // 10, trials):
            memory.append(megabytes())
    assert optuna_study.complete == trials, "every trial must be recorded"
    began = time.perf_counter()
    OptunaStudy(study, home.storage, home.study(study.name) / "history")
    again = time.perf_counter() - began
    for name, spent in (("ask", asking), ("tell", telling)):
        first, last = (statistics.median(part) for part in (spent[WINDOW // 2 :][:WINDOW], spent[-WINDOW:]))
        print(
            f"{sampler}: {name} {1000 * first:.1f} ms at first, {1000 * last:.1f} at last: {last / first:.2f}"
        )
    first, last = (
        statistics.median(a + t for a, t in list(zip(asking, telling, strict=True))[part])
        for part in (slice(WINDOW // 2, WINDOW // 2 + WINDOW), slice(-WINDOW, None))
    )
    print(f"{sampler}: both {1000 * last:.1f} ms at last, {last / first:.2f} times the first (goal: 1.5)")
    grown = (memory[-1] - memory[1]) / (trials - trials // 10) * 1000
    print(f"{sampler}: {memory[-1]:.0f} MB at last, {grown:.1f} MB per 1,000 trials")
    print(f"{sampler}: opened in {opened:.1f} s empty, {again:.1f} s full")


def read(home: Home, name: str) -> None:
    """Print what it takes to read the study: what `front`, `compare` and the report do."""
    began = time.perf_counter()
    study_records(home, name, history=False)
    fronts = time.perf_counter() - began
    began = time.perf_counter()
    records = study_records(home, name)
    loaded = time.perf_counter() - began
    began = time.perf_counter()
    write_report([records], home.report(name), images=False)
    report = time.perf_counter() - began
    began = time.perf_counter()
    compare([records, replace(records, study="other")])
    comparison = time.perf_counter() - began
    size = home.report(name).stat().st_size / 1e6
    print(f"front {fronts:.1f} s; report {loaded:.1f} + {report:.1f} s, {size:.1f} MB (goals: 10 s)")
    print(f"compare, two such studies: {2 * loaded:.1f} + {comparison:.1f} s (goal: 10 s)")


def main(trials: int, samplers: list[str]) -> None:
    """Fill a study for each sampler and read the first."""
    print(f"cores {os.cpu_count()}, load average before {os.getloadavg()[0]:.1f}, {trials} trials")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.prepare()
        for sampler in samplers:
            fill(home, sampler, trials)
            if sampler == samplers[0]:
                read(home, f"scale_{sampler}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.argv[2:] or ["random", "tpe", "grid"])
