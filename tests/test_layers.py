"""The import rules, seen from outside: what must work where the sweep engine is not installed."""

import subprocess
import sys

import pytest

ENGINE = ["ray", "optuna", "mlflow"]


def run_without(modules: list[str], program: str) -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    subprocess.run([sys.executable, "-c", blocked + program], check=True)


def test_trainables_need_no_sweep_engine():
    run_without(
        [*ENGINE, "sweeper", "search_spaces"],
        "import trainables.trial, trainables.cost, trainables.__main__, trainables.runtime.background",
    )


def test_search_spaces_need_the_standard_library_alone():
    run_without(
        [*ENGINE, "sweeper", "trainables", "torch", "numpy", "yaml", "pydantic"], "import search_spaces"
    )


def test_the_tune_skin_is_the_one_exception():
    with pytest.raises(subprocess.CalledProcessError):
        run_without(["ray"], "import trainables.tune")


def test_ray_is_told_not_to_rebuild_the_environment_before_it_is_imported():
    program = (
        "import os, sys; import sweeper; assert 'ray' not in sys.modules;"
        "assert os.environ['RAY_ENABLE_UV_RUN_RUNTIME_ENV'] == '0';"
        "assert os.environ['RAY_USAGE_STATS_ENABLED'] == '0';"
        "assert os.environ['MLFLOW_DISABLE_TELEMETRY'] == 'true'"
    )
    run_without([], program)
