import os
import threading
import time

import sweeper.engine.machines.calibration as module
from sweeper.engine.machines.calibration import Calibration, variants
from sweeper.engine.machines.cluster import TrialResources
from sweeper.engine.remaining import OF_A_TRIAL, SHARED
from trainables.cost import STAGES
from trainables.runtime.duration import Duration

ALLOTMENT = TrialResources(cpus=1, gpus=0, concurrent=1, node_cpus=2, node_gpus=0)


def test_the_variants_are_the_ends_of_the_space(cheap):
    study = cheap(trial={"y": 1}, space=[{"k": {"choice": ["a", "b"]}}, {"x": {"float": [0, 1]}}])
    documents = variants(study)
    assert documents[0] == {"y": 1, "k": "a", "x": 0.5}
    assert all(document["y"] == 1 for document in documents)


def test_stages_are_timed_at_the_niceness_that_they_will_have(monkeypatch):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    nice, seen = min(19, own + 3), {}

    def estimate(config, device, *, threads, variants, stages):
        seen.update(dict.fromkeys(stages, os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
        return dict.fromkeys(stages, Duration(low=1, high=2))

    monkeypatch.setattr("trainables.cost.estimate", estimate)
    monkeypatch.setattr("trainables.config.load_trial", lambda document: document)
    monkeypatch.setattr("trainables.runtime.background.limit_threads", lambda threads: None)
    assert module._measured({}, [], 1, nice) == dict.fromkeys(STAGES, (1, 2))
    assert seen == dict.fromkeys(SHARED, own) | dict.fromkeys(OF_A_TRIAL, nice)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_a_worker_measures_and_what_fails_there_is_no_estimate(cheap, ray_address, monkeypatch):
    def measured(trial, others, threads, niceness):
        if trial.get("broken"):
            raise ValueError("no such trial")
        return {"target": (1.0, 2.0), "attack": (float(threads), 3.0)}

    monkeypatch.setattr(module, "_measured", measured)
    assert Calibration(cheap(), ALLOTMENT, 0).look(wait=True) == {
        "target": Duration(low=1, high=2),
        "attack": Duration(low=1, high=3),
    }
    assert Calibration(cheap(trial={"broken": True}), ALLOTMENT, 0).look(wait=True) == {}


def test_nobody_waits_for_a_measurement_but_who_says_so(cheap, ray_address, monkeypatch, tmp_path):
    go = tmp_path / "go"

    def measured(trial, others, threads, niceness):
        while not go.exists():
            time.sleep(0.05)
        return {"target": (1.0, 2.0)}

    monkeypatch.setattr(module, "_measured", measured)
    calibration = Calibration(cheap(), ALLOTMENT, 0)
    assert calibration.look() is None
    go.touch()
    assert calibration.look(wait=True) == {"target": Duration(low=1, high=2)}
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    go.unlink()
    late = Calibration(cheap(), ALLOTMENT, 0)
    assert late.look(wait=True) == {}
