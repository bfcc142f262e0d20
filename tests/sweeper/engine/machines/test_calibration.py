import sweeper.engine.machines.calibration as module
from sweeper.engine.machines.calibration import calibrate, variants
from sweeper.engine.machines.cluster import TrialResources
from trainables.runtime.duration import Duration

ALLOTMENT = TrialResources(cpus=1, gpus=0, concurrent=1, node_cpus=2, node_gpus=0)


def test_the_variants_are_the_ends_of_the_space(cheap):
    study = cheap(trial={"y": 1}, space=[{"k": {"choice": ["a", "b"]}}, {"x": {"float": [0, 1]}}])
    documents = variants(study)
    assert documents[0] == {"y": 1, "k": "a", "x": 0.5}
    assert all(document["y"] == 1 for document in documents)


def test_a_worker_measures_and_what_fails_there_is_no_estimate(cheap, ray_address, monkeypatch):
    def measured(trial, others, threads):
        if trial.get("broken"):
            raise ValueError("no such trial")
        return {"target": (1.0, 2.0), "attack": (float(threads), 3.0)}

    monkeypatch.setattr(module, "_measured", measured)
    assert calibrate(cheap(), ALLOTMENT) == {
        "target": Duration(low=1, high=2),
        "attack": Duration(low=1, high=3),
    }
    assert calibrate(cheap(trial={"broken": True}), ALLOTMENT) == {}
