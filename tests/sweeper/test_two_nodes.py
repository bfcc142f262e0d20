"""A sweep on a cluster of two nodes, made on one machine, that loses one of them."""

import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest

from sweeper.search.reading import stored_trials

TRIALS = 10

DRIVER = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path

    from sweeper.storage.home import Home
    from sweeper.study.loading import parse_study
    from sweeper.engine.sweep import sweep

    root, address, trials = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

    def run(trial, *, store_root, device, report):
        import ray

        node = ray.get_runtime_context().get_node_id()
        (root / "starts" / f"{trial['x']!r} {node} {time.time_ns()}").touch()
        while True:  # both nodes begin before one ends; what the doomed one begins next does not end there
            nodes = [path.name.split()[1] for path in (root / "starts").iterdir()]
            if len(set(nodes)) >= 2 and (node != (root / "doomed").read_text() or nodes.count(node) == 1):
                break
            time.sleep(0.2)
        time.sleep(1)
        x = trial["x"]
        return {"values": {"test_accuracy": x, "attack_accuracy": x * x},
            "metrics": {"validation_accuracy": x}}

    study = parse_study(
        {
            "name": "nodes",
            "trial": {},
            "space": [{"x": {"float": [0, 1]}}],
            "search": {"trials": trials},
            "tracking": {"mlflow": False},
        },
        "test",
    )
    sweep(study, Home(root / "home"), run=run, address=address, shared=False)
    """
)


def patient(start):
    """Return what `start` returns, at the third time at last: Ray gives a busy machine 30 s for a node."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            return start()
    return start()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_node_that_is_killed_costs_only_what_ran_there(tmp_path, home, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "180")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # a busy machine starves workers that are nice
    (tmp_path / "starts").mkdir()
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    each = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100_000_000}
    cluster, driver = Cluster(), None

    def starts():
        return [path.name.split() for path in (tmp_path / "starts").iterdir()]

    def complete():
        return [t for t in stored_trials(home.storage, "nodes")[1] if t["state"] == "complete"]

    try:
        _, doomed = (patient(lambda: cluster.add_node(**each)) for _ in range(2))
        (tmp_path / "doomed").write_text(doomed.node_id)
        command = [sys.executable, str(script), str(tmp_path), cluster.address, str(TRIALS)]
        environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
        environment.setdefault("RAY_AUTH_MODE", "disabled")  # as the nodes were started
        driver = subprocess.Popen(command, env=environment)
        # Until both nodes have finished something and the doomed one has begun another trial.
        while len([x for x, node, _ in starts() if node == doomed.node_id]) < 2 or len(complete()) < 3:
            assert driver.poll() is None, stored_trials(home.storage, "nodes")
            time.sleep(0.05)
        before = {repr(trial["params"]["x"]) for trial in complete()}
        cluster.remove_node(doomed, allow_graceful=False)
        assert driver.wait(timeout=600) == 0
    finally:
        if driver is not None and driver.poll() is None:
            driver.kill()
            driver.wait()
        cluster.shutdown()

    _, trials = stored_trials(home.storage, "nodes")
    assert [trial["state"] for trial in trials] == ["complete"] * TRIALS
    begun = Counter(x for x, _, _ in starts())
    assert set(begun) == {repr(trial["params"]["x"]) for trial in trials}
    again = [x for x, count in begun.items() if count > 1]
    assert len(again) == 1 and not before & set(again)
    for x in again:
        first, second = (node for name, node, _ in sorted(starts(), key=lambda s: int(s[2])) if name == x)
        assert first == doomed.node_id and second != doomed.node_id
