"""A sweep on two nodes that have no disk in common, made on one machine with a mount of its own for one."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sweeper.search.reading import stored_trials

STUDY = {
    "name": "apart",
    "trial": {
        "image_size": 32,
        "private": {
            "kind": "synthetic_faces",
            "population": "private",
            "identities": 8,
            "images_per_identity": 10,
        },
        "public": {
            "kind": "synthetic_faces",
            "population": "public",
            "identities": 30,
            "images_per_identity": 4,
        },
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1, "learning_rate": 0.05},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi", "width": 8, "epochs": 1, "batch_size": 32, "learning_rate": 5e-4},
        "attack": {
            "kind": "gmi",
            "iterations": 300,
            "restarts": 1,
        },  # so that no node has done them all at once
        "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1, "learning_rate": 3e-3},
    },
    "space": [{"target.learning_rate": {"float": [0.01, 0.1]}}],
    "search": {"trials": 6},
    "resources": {"cpus_per_trial": 1, "concurrent": 2},
    "tracking": {"mlflow": False},
    "controls": False,
}


WAIT = (
    "import ray, sys, time; ray.init(address=sys.argv[1], log_to_driver=False)\n"
    "while len(ray.nodes()) < 2: time.sleep(0.5)"
)


def may_mount():
    command = ["unshare", "--mount", "true"]
    return shutil.which("unshare") and subprocess.run(command, capture_output=True).returncode == 0


def stages(store):
    """Return stage -> keys of what is finished in a store."""
    folders = [folder for folder in store.iterdir() if folder.is_dir()]
    return {one.name: {p.name for p in one.iterdir() if p.is_dir()} for one in folders}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_nodes_without_a_common_disk_share_stages_through_the_store(tmp_path, home, monkeypatch):
    if not may_mount():
        pytest.skip("needs the right to mount (root on Linux)")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "180")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("SWEEPER_STORE", str(tmp_path / "common"))
    study, store = tmp_path / "study.yaml", home.root / "store"
    study.write_text(yaml.safe_dump(STUDY))
    ray = Path(sys.executable).with_name("ray")
    cluster, other = Cluster(), None
    try:
        cluster.add_node(num_cpus=1, include_dashboard=False, object_store_memory=100_000_000)
        join = f"{ray} start --address={cluster.address} --num-cpus=1 --object-store-memory=100000000 --block"
        script = f"mount -t tmpfs tmpfs {home.root} && exec {join}"
        other = subprocess.Popen(["unshare", "--mount", "bash", "-c", script], start_new_session=True)
        subprocess.run([sys.executable, "-c", WAIT, cluster.address], check=True, timeout=300)
        command = [sys.executable, "-m", "sweeper", "run", str(study), "--address", cluster.address]
        subprocess.run([*command, "--home", str(home.root), "--anyway"], check=True, timeout=900)
        theirs = stages(Path(f"/proc/{other.pid}/root{store}"))
    finally:
        if other is not None:
            os.killpg(other.pid, signal.SIGTERM)
            other.wait(60)
        cluster.shutdown()
    assert [t["state"] for t in stored_trials(home.storage, "apart")[1]] == ["complete"] * 6
    ours = stages(store)
    assert theirs.get("target"), "the other node trained"
    assert len(theirs["target"] | ours["target"]) == 6
    assert theirs["verdict"] <= ours["verdict"], "what the report reads is copied to the driver"
    for stage in ("prior", "judge"):
        assert len(ours[stage]) == 1 and ours[stage] == theirs[stage], "made once, and copied"
