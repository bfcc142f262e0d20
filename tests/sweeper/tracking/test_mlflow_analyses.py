"""Which numbers of an analysis MLflow gets, and when; with a real MLflow: ``tests/sweeper/cli``."""

from types import SimpleNamespace

from sweeper.tracking.mlflow_analyses import analysis_metrics, log_analyses

ROW = {
    "trial": 4,
    "attack": "gmi",
    "sure": 0.5,
    "sure_interval": [0.25, 0.75],
    "count": 3,
    "judge": ["classifier"],
    "rates": [0.5, 0.25],
    "name": "conv1",
    "flag": True,
    "rate": None,
}


def test_numbers_are_metrics_with_the_name_of_the_analysis_and_of_one_of_several_attacks():
    expected = {"sure": 0.5, "sure_low": 0.25, "sure_high": 0.75, "count": 3.0}
    assert analysis_metrics("judges", [ROW]) == {f"judges.{name}": x for name, x in expected.items()}
    both = analysis_metrics("judges", [ROW, {**ROW, "attack": "map", "count": 5}])
    assert both["judges.gmi.count"] == 3 and both["judges.map.count"] == 5
    assert len(both) == 8


class Client:
    """Takes notes in place of MLflow's client."""

    def __init__(self):
        self.tags, self.calls = {}, []

    def get_run(self, run):
        return SimpleNamespace(data=SimpleNamespace(tags=dict(self.tags)))

    def log_batch(self, run, metrics):
        self.calls.append((run, {metric.key: metric.value for metric in metrics}))

    def log_dict(self, run, document, path):
        self.calls.append((run, document, path))

    def set_tag(self, run, name, value):
        self.calls.append((run, name))
        self.tags[name] = value


def test_a_run_gets_each_analysis_once_and_anew_when_its_figures_change():
    client = Client()

    def attach(log, *arguments):
        log(*arguments)
        return True

    log_analyses(client, "run", {}, attach)
    assert client.calls == []
    log_analyses(client, "run", {"judges": [ROW]}, attach)
    assert client.calls == [
        ("run", analysis_metrics("judges", [ROW])),
        ("run", {"analysis": "judges", "rows": [ROW]}, "analyses/judges.json"),
        ("run", "analysis.judges"),
    ]
    log_analyses(client, "run", {"judges": [ROW]}, attach)
    assert len(client.calls) == 3
    log_analyses(client, "run", {"judges": [{**ROW, "rates": [0.5, 0.5]}], "cost": [{"attack": ""}]}, attach)
    assert [call[1] for call in client.calls if isinstance(call[1], str)] == [
        *("analysis.judges", "analysis.judges", "analysis.cost")
    ]
