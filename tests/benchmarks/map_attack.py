"""How much the attack `map` on eigenfaces recovers, in how many core-seconds: JSON, a line for each target.

    OMP_NUM_THREADS=1 python tests/benchmarks/map_attack.py rendered [KNOB=VALUE ...]
    OMP_NUM_THREADS=1 python tests/benchmarks/map_attack.py faces FOLDER [KNOB=VALUE ...]

rendered: the target of the preset rendered_faces, undefended and frozen to conv3. faces: a MobileFaceNet
of which the head alone is trained, on a folder as the preset faces_far expects it, 40 people attacked. A
knob is one of the trial's paths, as ``attack.penalty=0.03``, ``prior.components=100`` or ``seed=1``.
SWEEPER_HOME keeps what is trained, so that other knobs take seconds.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from sweeper.study.loading import load_study
from trainables.config import load_trial
from trainables.stages.attack import make_attack
from trainables.stages.evaluation import make_evaluation
from trainables.stages.judge import make_judge
from trainables.stages.prior import make_prior
from trainables.stages.target import make_target
from trainables.storage.store import Store

EIGENFACES = {"prior": {"kind": "eigenfaces"}, "attack": {"kind": "map"}}


def rendered() -> list[dict[str, Any]]:
    """Return the trial of rendered_faces with this attack, undefended and frozen."""
    trial = load_study("rendered_faces").trial
    return [
        {**trial, **EIGENFACES, "target": {**trial["target"], "freeze_point": point}}
        for point in ("none", "conv3")
    ]


def faces(folder: str) -> list[dict[str, Any]]:
    """Return the trial of real faces."""
    trial = load_study("faces_far", overrides=[f"trial.{path}" for path in paths(folder)]).trial
    weights = f"{folder}/weights/mobilefacenet_casia_state_dict.pt"
    target = {
        "architecture": "mobilefacenet",
        "freeze_point": "linear1",
        "frozen_batchnorm": "eval",
        "normalization": "half",
        "epochs": 20,
        "learning_rate": 0.1,
        "schedule": "cosine",
    }
    start = {"kind": "checkpoint", "path": weights}
    return [{**trial, **EIGENFACES, "target": target, "pretraining": start, "identities": 40}]


def paths(folder: str) -> list[str]:
    """Return where the preset's files lie below `folder`, as overrides."""
    return [
        f"private.root={folder}/faces_private/celeba_private_64.zip",
        f"public.root={folder}/faces_public/celeba_public_64.zip",
        f"pretraining.path={folder}/weights/mobilenet_v2_imagenet_features_state_dict.pt",
        f"judge.path={folder}/weights/mobilefacenet_casia_state_dict.pt",
    ]


def changed(document: dict[str, Any], knobs: list[str]) -> dict[str, Any]:
    """Return the trial with ``path=value`` of each of the knobs."""
    for knob in knobs:
        path, _, value = knob.partition("=")
        part, _, name = path.rpartition(".")
        place = {**document[part]} if part else document
        place[name] = yaml.safe_load(value)
        document = {**document, part: place} if part else {**place}
    return document


def measured(document: dict[str, Any], store: Store) -> dict[str, Any]:
    """Return the figures of one trial; seconds are those of the process, 0 for what the store holds."""
    config = load_trial(document)
    (plan,) = config.attack
    clock = time.process_time
    trained, judge = make_target(config, store=store), make_judge(config, store=store)
    began = clock()
    prior = make_prior(config, plan.prior, store=store)
    fitted = clock()
    attacked = make_attack(config, plan, trained, prior, store=store)
    done = clock()
    verdict = make_evaluation(config, trained, attacked, judge, store=store).result
    return {
        "freeze_point": config.target.freeze_point,
        "test_accuracy": trained.result["test_accuracy"],
        "judge_accuracy": judge.result["test_accuracy"],
        **verdict["metrics"],
        "fit": prior.result.get("fit"),
        "prior_seconds": round(fitted - began, 2),
        "attack_seconds": round(done - fitted, 2),
    }


def main(arguments: list[str]) -> None:
    """Measure what the command line names."""
    what, *rest = arguments or ["rendered"]
    documents = rendered() if what == "rendered" else faces(rest.pop(0))
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(os.environ.get("SWEEPER_HOME", scratch)), None)
        for document in documents:
            print(json.dumps(measured(changed(document, rest), store)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
