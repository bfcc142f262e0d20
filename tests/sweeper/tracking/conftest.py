"""A study of one trial, in a home whose database of MLflow has its tables already."""

import shutil

import pytest

from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.tracking.mlflow_tracker import EXPERIMENT


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """Return a database with MLflow's tables, which take seconds to make."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").get_experiment_by_name(EXPERIMENT)
    return path


@pytest.fixture
def finished(home, cheap, result, empty_store):
    """Return a study with one trial, and its records."""
    shutil.copy(empty_store, home.root)
    study = cheap(tracking={"mlflow": True})
    source = OptunaStudy(study, home.storage, home.study("cheap") / "history")
    request = source.ask()
    source.tell(request.number, result(0.5) | {"params": request.assignment})
    return study, study_records(home, "cheap")
