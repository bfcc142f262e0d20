"""An analysis of a trial as a document, as workers do it; of a study: ``tests/sweeper/cli``."""

import pytest
import torch

from trainables.analyses.evaluator_confidence import EvaluatorConfidence
from trainables.analyses.membership import Membership
from trainables.analyzed import analyze_document, analyze_trial
from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.runtime.progress import silent
from trainables.stages.target import new_target
from trainables.storage.store import Store

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 3, "images_per_identity": 6}
TRIAL = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 1},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1},
    "attack": [
        {"kind": "gmi", "iterations": 1, "restarts": 1},
        {"kind": "gmi", "iterations": 2, "restarts": 2},
    ],
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
    "identities": 2,
    "seed": 3,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a store with a target, an attack that found noise, and their keys."""
    store, config = Store(tmp_path_factory.mktemp("store"), None), load_trial(TRIAL)

    def target(folder):
        torch.save(new_target(config, 3).state_dict(), folder / "target.pt")
        return {"test_accuracy": 0.5, "images_seen": None}

    def attack(folder):
        images = torch.zeros(4, 2, 3, 32, 32, dtype=torch.uint8)
        torch.save({"images": images, "identities": torch.arange(2)}, folder / "reconstructions.pt")
        return {}

    return store, store.get("target", {}, target).key, store.get("attack", {}, attack).key


def run(document, store, **stages):
    return analyze_document(document, store_root=str(store.root), device="cpu", report=silent, **stages)


def test_an_attack_that_is_there_is_looked_at_and_another_is_made(place):
    store, target, attack = place
    told = []
    rows = analyze_trial(
        load_trial(TRIAL),
        EvaluatorConfidence(),
        target=target,
        attacks={"gmi": attack},
        store=store,
        warn=told.append,
    )
    assert [(row["attack"], row["restarts"]) for row in rows] == [("gmi", 4), ("gmi_2", 2)]
    assert len(list(store.root.glob("attack/*/result.json"))) == 2
    assert len(told) == 1 and any("judge" in text for text in told[0])
    again = run(TRIAL, store, analysis="evaluator_confidence", target=target, attacks={"gmi": attack})
    assert again == {"rows": rows}


def test_what_cannot_be_analyzed_comes_back_as_a_refusal(place):
    store, target, _ = place
    lost = run(TRIAL, store, analysis="evaluator_confidence", target="0" * 20, attacks={})
    assert list(lost) == ["refused"] and "expected the target 0000" in lost["refused"]
    few = run(TRIAL, store, analysis="membership", target=target)
    assert list(few) == ["refused"] and "expects at least 4 private people, got 3" in few["refused"]
    with pytest.raises(ConfigError, match="at least 4 private people"):
        analyze_trial(load_trial(TRIAL), Membership(), store=store)
