"""How far a pre-training is from the private people: measured once a backbone, kept, and in its trials."""

import dataclasses

import pytest
import torch

from trainables.config import load_trial
from trainables.metrics.attack_accuracy import interval95
from trainables.pretraining.base import load_stages
from trainables.pretraining.linear_probe import frozen_features, linear_probe
from trainables.screening import run_screened
from trainables.stages.data import load_data
from trainables.stages.pretrained import make_pretrained
from trainables.stages.pretraining_distance import distance_figures, distance_interval, make_distance
from trainables.stages.target import make_target
from trainables.storage.documents import merge
from trainables.storage.store import Store
from trainables.training.classifier import build_classifier
from trainables.trial import make_shared, run_trial

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 12}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "dataset", "data": {**FACES, "population": "far"}, "epochs": 1},
    "target": {"architecture": "small_cnn", "normalization": "half", "epochs": 1, "freeze_point": "conv2"},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 1},
    "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def test_the_figures_are_those_of_a_linear_classifier_on_the_frozen_backbone(store):
    """Computed here from the stored weights; the network draws nothing from the generator of the trial."""
    config = load_trial(DOCUMENT)
    backbone = make_pretrained(config, store=store)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    measured = make_distance(config, store=store)
    assert torch.get_rng_state().equal(before)
    classifier = build_classifier("small_cnn", 4, 32, "half", seed=7)
    load_stages(classifier, torch.load(backbone.path / "stages.pt", weights_only=True))
    split = load_data(config).split
    with torch.no_grad():
        train, validation, test = (
            frozen_features(classifier.eval(), part.pixels.float() / 255)
            for part in (split.train, split.validation, split.test)
        )
    named = linear_probe(train, split.train.labels, [validation, test])
    right, tested = (
        (found == part.labels).double()
        for found, part in zip(named, (split.validation, split.test), strict=True)
    )
    figures = distance_figures(measured)
    assert figures == {
        "probe_accuracy": right.mean().item(),
        "probe_test_accuracy": tested.mean().item(),
        "probe_chance": 0.25,
    }
    (ends,) = distance_interval(measured).values()
    assert ends.to_json() == pytest.approx(list(interval95(right, 1)))


def test_it_is_measured_once_for_a_backbone_and_again_for_another(store):
    config = load_trial(DOCUMENT)
    first = make_distance(config, store=store)
    for same in ({"target.freeze_point": "none"}, {"defense.kind": "mid"}, {"replicate": 1}):
        again = make_distance(load_trial(merge(DOCUMENT, same)), store=store)
        assert (again.path, again.made_now) == (first.path, False)
    near = merge(DOCUMENT, {"pretraining.data.population": "near"})
    for other in (near, {**DOCUMENT, "validation": 0.25}):
        assert make_distance(load_trial(other), store=store).path != first.path
    assert first.machine is not None


def test_it_is_made_ahead_with_the_backbone(tmp_path):
    store, config = Store(tmp_path), load_trial(DOCUMENT)
    make_shared(config, "pretrained", store=store)
    assert not make_distance(config, store=store).made_now


def test_without_pre_training_there_is_no_distance(store):
    config = load_trial({**DOCUMENT, "pretraining": {"kind": "none"}})
    assert make_distance(config, store=store) is None
    assert distance_figures(None) == distance_interval(None) == {}
    assert not any(name.startswith("probe") for name in run_trial(config, store=store).metrics)


def test_a_trial_holds_it_unless_its_target_began_elsewhere(store):
    config = load_trial(DOCUMENT)
    figures = distance_figures(make_distance(config, store=store))
    found = run_trial(config, store=store)
    assert figures.items() <= found.metrics.items()
    assert found.interval["probe_accuracy"].low <= figures["probe_accuracy"]
    given = run_trial(config, store=store, trained=make_target(config, store=store))
    assert not any(name.startswith("probe") for name in (*given.metrics, *given.interval))


def test_a_trial_says_whether_its_training_lost_it(store, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "trainables.trial_result.lost_pretraining", lambda *given: asked.append(given) or ["lost"]
    )
    config = load_trial(DOCUMENT)
    found = run_trial(config, store=store)
    tested = len(load_data(config).split.test)
    probe = found.metrics["probe_test_accuracy"]
    assert found.warnings[-1] == "lost"
    assert asked == [(config, found.values["test_accuracy"], probe, tested)]


@pytest.mark.parametrize("beaten", [False, True])
def test_a_screened_trial_holds_it_too(store, beaten):
    config = load_trial(DOCUMENT)
    objectives = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
    rivals = [{"number": 7, "values": {"test_accuracy": 1.1, "attack_accuracy": -0.1}}] if beaten else []
    found = run_screened(config, rivals=rivals, objectives=objectives, share=0.5, store=store)
    assert bool(found.screening["reason"]) == beaten
    assert distance_figures(make_distance(config, store=store)).items() <= found.metrics.items()
    assert ("probe_accuracy" in found.interval) != beaten


def test_features_that_are_no_numbers_give_figures_all_the_same(store, tmp_path):
    """The trial that trains them says what is wrong."""
    broken = build_classifier("small_cnn", 2, 32, "half", 0).stages.state_dict()
    broken["conv1.0.weight"].fill_(3e38)
    torch.save(broken, tmp_path / "broken.pt")
    config = load_trial(DOCUMENT)
    loaded = load_trial(
        {**DOCUMENT, "pretraining": {"kind": "checkpoint", "path": str(tmp_path / "broken.pt")}}
    )
    measured = make_distance(dataclasses.replace(config, pretraining=loaded.pretraining), store=store)
    assert measured.result["probe_accuracy"] == 0.25
