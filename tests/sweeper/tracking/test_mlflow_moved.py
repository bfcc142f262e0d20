import shutil

import pytest

from sweeper.results.records import study_records
from sweeper.storage.home import Home
from sweeper.tracking.mlflow_tracker import EXPERIMENT, Tracker


@pytest.mark.parametrize("takes", [shutil.copytree, shutil.move])
def test_a_home_that_lies_elsewhere_goes_on_with_its_own_runs_and_artifacts(home, finished, tmp_path, takes):
    from mlflow import MlflowClient
    from mlflow.tracking._tracking_service import utils as service

    study, records = finished
    Tracker(study, home).finish(records, None)
    service._artifact_repos_cache.clear()  # MLflow's own, of this process

    def files(root):
        return {(str(path), path.stat().st_mtime_ns) for path in (root / "mlartifacts").rglob("*")}

    copy = Home(tmp_path / "as it is, 100 %")
    takes(home.root, copy.root)
    before = files(home.root)
    tracker = Tracker(study, copy)
    tracker.finish(study_records(copy, study.name), None)
    assert tracker.problem == "" and files(home.root) == before
    client = MlflowClient(tracking_uri=copy.tracking)
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    (parent,) = (run for run in runs if run.data.tags["kind"] == "study")
    assert len(runs) == 1 + len(records.trials)
    assert {run.info.artifact_uri.partition("/mlartifacts/")[0] for run in runs} == {copy.root.as_uri()}
    assert {"study.json", "front.json"} <= {file.path for file in client.list_artifacts(parent.info.run_id)}
