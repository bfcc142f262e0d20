import pytest
import torch

from trainables.analyses.evaluator_confidence import EvaluatorConfidence
from trainables.config import load_trial
from trainables.stages.analysis import make_analysis
from trainables.stages.judge import make_judge
from trainables.stages.target import new_target
from trainables.storage.store import Stage, Store

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
TRIAL = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 1},
    "defense": {"kind": "mid"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1},
    "attack": {"kind": "gmi", "iterations": 2},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
    "seed": 3,
}


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Return a configuration, a store, and a target, an attack and a judge; the attack found noise."""
    store, config = Store(tmp_path_factory.mktemp("store"), None), load_trial(TRIAL)

    def target(folder):
        torch.save(new_target(config, 4).state_dict(), folder / "target.pt")
        return {}

    def attack(folder):
        noise = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (2, 3, 3, 32, 32), generator=noise, dtype=torch.uint8)
        torch.save({"images": images, "identities": torch.arange(3)}, folder / "reconstructions.pt")
        return {}

    made = [store.get("target", {}, target), store.get("attack", {}, attack), make_judge(config, store=store)]
    return config, store, made


def test_a_figure_is_measured_once(stages, monkeypatch):
    config, store, made = stages
    first = make_analysis(config, EvaluatorConfidence(), *made, store=store)
    assert first.made_now and (first.result["identities"], first.result["restarts"]) == (3, 2)
    monkeypatch.setattr(EvaluatorConfidence, "measure", None)
    again = make_analysis(config, EvaluatorConfidence(), *made, store=store)
    assert not again.made_now and again.result == first.result


def test_a_noisy_target_says_the_same_every_time(stages, tmp_path):
    config, _, made = stages
    figures = [
        make_analysis(config, EvaluatorConfidence(threshold=0.3), *made, store=Store(place, None)).result
        for place in (tmp_path / "a", tmp_path / "b")
    ]
    assert figures[0] == figures[1]


def test_knobs_versions_and_other_stages_change_the_key(stages, monkeypatch, tmp_path):
    config, _, made = stages
    monkeypatch.setattr(EvaluatorConfidence, "measure", lambda self, subject: {})
    store = Store(tmp_path, None)

    def key(analysis, made):
        return make_analysis(config, analysis, *made, store=store).key

    keys = {key(EvaluatorConfidence(), made), key(EvaluatorConfidence(threshold=0.5), made)}
    for position, stage in enumerate(made):
        copy = stage.path.with_name(f"copy{position}")
        if not copy.exists():
            copy.symlink_to(stage.path)
        other = Stage(copy, stage.result, 0.0, made_now=False)
        keys.add(key(EvaluatorConfidence(), [*made[:position], other, *made[position + 1 :]]))
    monkeypatch.setattr(EvaluatorConfidence, "version", 2)
    keys.add(key(EvaluatorConfidence(), made))
    assert len(keys) == 6
