"""An attack spread over Ray tasks: same results, one after a worker was killed, errors and progress."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
import torch

from sweeper.engine.sweep import sweep
from sweeper.study.loading import parse_study
from trainables.attacks.base import Reconstructions
from trainables.attacks.sharding import cut, merge
from trainables.errors import ConfigError, DiskError, TrialError
from trainables.runtime.progress import silent
from trainables.storage.resume import Resume
from trainables.tune import ShardTasks

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 5, "images_per_identity": 8}
TINY = {
    "trial": {
        "image_size": 32,
        "private": FACES,
        "public": {**FACES, "population": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
        "attack": {"kind": "gmi", "iterations": 3, "restarts": 2},
        "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
    },
    "space": [{"target.learning_rate": {"choice": [0.01]}}],
    "tracking": {"mlflow": False},
}


def test_a_sweep_with_two_shards_gives_what_one_with_one_gives(home, ray_address):
    found = []
    for shards in (1, 2):
        resources = {"concurrent": 1, "attack_shards": shards, "cpus_per_trial": 1}
        study = parse_study({**TINY, "name": f"shards-{shards}", "resources": resources}, "test")
        (trial,) = sweep(study, home, shared=False, anyway=True).records.trials
        assert trial.state == "complete"
        kept = torch.load(f"{trial.artifacts['attack']}/reconstructions.pt", weights_only=True)
        found.append((trial, kept))
        for stage in ("attack", "verdict"):  # the target is trained once for both
            shutil.rmtree(home.store.root / stage)
    (one, whole), (two, parts) = found
    assert one.artifacts["attack"] == two.artifacts["attack"]  # shards are not in the key
    assert one.values == two.values and one.interval == two.interval
    assert torch.equal(whole["identities"], parts["identities"])
    torch.testing.assert_close(whole["latents"], parts["latents"], atol=1e-5, rtol=1e-5)


def results(work, parts, spread, report=silent):
    return merge(spread(work, parts, "cpu", report))


def test_a_killed_shard_goes_on_where_it_was_and_finished_parts_are_not_repeated(tmp_path, ray_address):
    log = tmp_path / "log"
    log.mkdir()

    def work(part, device, report):
        import os
        import signal

        resume = Resume(part.folder, every=0.0)
        begin = (resume.read("rows") or {"step": 0})["step"]
        for step in range(begin, 4):
            (log / f"{part.first} {step} {os.getpid()}").touch()
            if part.first and step == 2 and not (log / "killed").exists():
                (log / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            resume.write("rows", {"step": step + 1})
            report("attack", step + 1, 4)
        rows = torch.arange(float(part.first), part.stop)
        return Reconstructions(
            latents=rows[None, :, None],
            images=torch.zeros(1, part.size, 3, 1, 1),
            history=[{"iteration": 0.0}],
        )

    parts = cut(5, 2, 1, tmp_path / "parts")
    found = results(work, parts, ShardTasks(shards=2, cpus=1, gpus=0))
    assert found.latents.flatten().tolist() == [0, 1, 2, 3, 4]
    steps = [path.name.split() for path in log.iterdir() if path.name != "killed"]
    assert sorted(int(step) for first, step, _ in steps if first == "2") == [0, 1, 2, 2, 3]
    assert sorted(int(step) for first, step, _ in steps if first == "0") == [0, 1, 2, 3]
    assert {pid for first, _, pid in steps if first == "0"} == {str(os.getpid())}
    assert str(os.getpid()) not in {pid for first, _, pid in steps if first == "2"}

    again = results(work, parts, ShardTasks(shards=2, cpus=1, gpus=0))
    assert torch.equal(again.latents, found.latents)
    assert len(list(log.iterdir())) == len(steps) + 1  # nothing was worked out again


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("no such prior"), "no such prior"),
        (TrialError("the loss is not finite"), "not finite"),
        (DiskError(28, "the disk is full"), "the disk is full"),
        (MemoryError("no room"), "no room"),
    ],
)
def test_what_goes_wrong_in_a_shard_arrives_as_it_was(tmp_path, ray_address, error, said):
    def work(part, device, report):
        if part.first:
            raise error
        for _ in range(600):  # until the other's error ends this part, too
            time.sleep(0.1)
            report("attack", 0, 1)

    with pytest.raises(type(error), match=said):
        results(work, cut(2, 2, 1, tmp_path), ShardTasks(shards=2, cpus=1, gpus=0))


def test_a_shard_whose_worker_always_dies_is_lost(tmp_path, ray_address):
    def work(part, device, report):
        import os
        import signal

        if part.first:
            os.kill(os.getpid(), signal.SIGKILL)
        return Reconstructions(
            latents=torch.zeros(1, 1, 1), images=torch.zeros(1, 1, 3, 1, 1), history=[{"iteration": 0.0}]
        )

    with pytest.raises(TrialError, match="a shard of the attack is lost: its worker died"):
        results(work, cut(2, 2, 1, tmp_path), ShardTasks(shards=2, cpus=1, gpus=0))


def test_progress_is_that_of_all_shards(tmp_path, ray_address):
    def work(part, device, report):
        import time

        for step in range(4):
            report("attack", (step + 1) * part.size, 4 * part.size)
            time.sleep(0.3)
        return Reconstructions(
            latents=torch.zeros(1, part.size, 1),
            images=torch.zeros(1, part.size, 3, 1, 1),
            history=[{"iteration": 0.0}],
        )

    told = []
    spread = ShardTasks(shards=2, cpus=1, gpus=0)
    results(work, cut(5, 2, 1, tmp_path), spread, lambda *said: told.append(said))
    assert told[-1] == ("attack", 20, 20)
    done = [done for _, done, _ in told]
    assert done == sorted(done) and {total for _, _, total in told} == {20}
    assert max(done[:4]) <= 20 and any(0 < one < 20 for one in done)


SCRIPT = """
import json, os, sys
from pathlib import Path

import sweeper

os.environ["RAY_raylet_start_wait_time_s"] = "180"
import ray

ray.init(num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)

from sweeper.storage.home import Home
from sweeper.study.loading import parse_study
from sweeper.engine.sweep import sweep


def run(trial, *, store_root, device, report, spread):
    import ray
    import torch
    from trainables.attacks.base import Reconstructions
    from trainables.attacks.sharding import cut, merge

    def work(part, device, report):
        assert device == ("cuda" if torch.cuda.is_available() else "cpu")
        gpus = torch.tensor(ray.get_gpu_ids(), dtype=torch.float32)
        images = torch.zeros(1, 1, 3, 1, 1)
        return Reconstructions(latents=gpus[None, None], images=images, history=[{"iteration": 0.0}])

    parts = cut(2, spread.shards, 1, Path(store_root) / repr(trial["x"]))
    one, two = merge(spread(work, parts, device, report)).latents.flatten().tolist()
    return {"values": {"test_accuracy": one, "attack_accuracy": two}, "metrics": {"validation_accuracy": one}}


document = {
    "name": "gpus",
    "trial": {},
    "space": [{"x": {"float": [0, 1]}}],
    "search": {"trials": 2},
    "resources": {"concurrent": 1, "attack_shards": "auto", "cpus_per_trial": 1},
    "tracking": {"mlflow": False},
}
home = Home(Path(sys.argv[1]))
trials = sweep(parse_study(document, "test"), home, run=run, shared=False).records.trials
print(json.dumps([[t.state, sorted(t.values.values())] for t in trials]))
"""


@pytest.mark.slow
def test_each_shard_has_a_gpu_of_its_own_where_there_are_several(tmp_path):
    """On logical GPUs: where Ray counts two that are not there the work falls back to the CPU."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "home")], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [["complete", [0.0, 1.0]]] * 2
