"""Whose runs a study takes up: its own, never those of a deleted one of its name."""

from contextlib import closing
from types import SimpleNamespace

from sweeper.tracking.mlflow_runs import Runs
from sweeper.tracking.mlflow_tracker import EXPERIMENT, Tracker


def test_a_study_that_is_begun_leaves_the_runs_of_a_deleted_one_and_writes_its_own(home, finished):
    from mlflow import MlflowClient

    study, records = finished
    old = Tracker(study, home)
    old.finish(records, None)
    client = MlflowClient(tracking_uri=home.tracking)
    runs = Runs(client, client.get_experiment_by_name(EXPERIMENT).experiment_id)

    def parents():
        return [run.info.run_id for run in runs.of_study(study.name, home.storage_digest)]

    (first,) = parents()
    trials = [run.info.run_id for run in runs.of_trials(first)]
    for _ in range(2):  # the first of these ends before any trial: the next begins no other
        with closing(Tracker(study, home, begins=True)) as tracker:
            tracker.check_open()
    second, other = parents()
    assert other == first and runs.of_trials(second) == []
    with closing(Tracker(study, home)) as tracker:  # goes on: the newest is its own
        tracker.finish(records, None)
    assert parents() == [second, first]
    own = [run.info.run_id for run in runs.of_trials(second)]
    assert len(own) == len(trials) > 0 and not set(own) & set(trials)
    assert [run.info.run_id for run in runs.of_trials(first)] == trials


def test_all_pages_are_read():
    pages = {None: (["a", "b"], "1"), "1": (["c"], "2"), "2": ([], "")}

    class Page(list):
        token = None

    def search_runs(experiments, *, filter_string, max_results, page_token):
        assert (experiments, filter_string) == (["7"], "x = 'y'") and max_results <= 50_000
        page = Page(pages[page_token][0])
        page.token = pages[page_token][1]
        return page

    assert Runs(SimpleNamespace(search_runs=search_runs), "7").search("x = 'y'") == ["a", "b", "c"]
