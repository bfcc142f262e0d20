"""Optuna's own tools, optuna-dashboard among them, open the same storage and see the same front."""

import io
import json

import optuna
import optuna_dashboard
import pytest

from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy

POINTS = [(0.9, 0.5), (0.8, 0.3), (0.7, 0.4), (0.6, 0.1), (0.6, 0.1), (0.95, 0.9), (0.3, 0.0)]


@pytest.fixture(params=[(), ("test_accuracy >= 0.5",)], ids=["free", "constrained"])
def limits(request):
    return request.param


@pytest.fixture
def stored(home, cheap, result, limits):
    """Store a study with failed, screened and infeasible trials beside finished ones; return its records."""
    search = {"trials": 9, "screening": True, "anchors": False}
    study = cheap(search=search, **({"constraints": list(limits)} if limits else {}))
    book = OptunaStudy(study, home.storage, home.study("cheap") / "history")

    def tell(accuracy, attacked, **changes):
        asked = book.ask()
        values = {"test_accuracy": accuracy, "attack_accuracy": attacked}
        book.tell(asked.number, result(0.5, values=values) | {"params": asked.assignment} | changes)

    for point in POINTS:
        tell(*point)
    screening = {"reason": "trial 1 is better even so", "test_accuracy": 0.75, "attack_accuracy": 0.35}
    tell(0.75, 0.35, screening=screening)
    tell(0.99, float("nan"))  # fails
    return study_records(home, "cheap")


def test_the_front_is_the_one_that_optuna_sees(stored, home, limits):
    ours = {trial.number for trial in stored.members}
    assert ours == {0, 1, 3, 4, 5} | ({6} if not limits else set())  # 7 is screened, 8 has failed
    study = optuna.load_study(study_name="cheap", storage=home.storage)
    assert [direction.name.lower() for direction in study.directions] == list(stored.objectives.values())
    assert {trial.number for trial in study.best_trials} == ours
    assert study.metric_names == list(stored.searched)


@pytest.mark.parametrize("limits", [()], ids=["free"])  # its list of best trials knows no constraints
def test_the_dashboard_answers_with_the_same_front(stored, home):
    page = optuna_dashboard.wsgi(optuna.storages.RDBStorage(home.storage))

    def get(path):
        environment = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": "after=0",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
        }
        return json.loads(b"".join(page(environment, lambda *_: None)))

    (summary,) = get("/api/studies")["study_summaries"]
    found = get(f"/api/studies/{summary['study_id']}")
    ours = {trial.number for trial in stored.members}
    assert {trial["number"] for trial in found["best_trials"]} == ours
