"""Targets from files: ours, torchvision's, and those that do not fit."""

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.stages.data import load_data
from trainables.stages.external_target import fill, make_external_target
from trainables.stages.target import new_target
from trainables.storage.documents import merge
from trainables.storage.store import Store
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 2},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 1},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
    "identities": 3,
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return store, run_trial(load_trial(DOCUMENT), store=store).to_json()


def test_our_own_target_from_a_file_gives_the_same_figures(ours, tmp_path):
    store, trained = ours
    config = load_trial(DOCUMENT)
    weights = torch.load(f"{trained['artifacts']['target']}/target.pt", weights_only=True)
    save_file({k: v.contiguous() for k, v in weights.items()}, tmp_path / "target.safetensors")
    for path in (tmp_path, tmp_path / "target.safetensors"):
        given = make_external_target(config, path, store=store)
        found = run_trial(config, store=store, trained=given)
        assert found.values == trained["values"]
        assert found.metrics == trained["metrics"]
    assert not make_external_target(config, tmp_path, store=store).made_now  # known by its weights


@pytest.mark.parametrize(
    "changes",
    [
        {"defense": {"kind": "ssf"}},
        {"defense": {"kind": "ssf", "factor": 0.2}},
        {"defense": {"kind": "rolss"}},
        {"defense": {"kind": "midre"}},
        {"defense": {"kind": "midre", "area": 0.8}},
        {"target.freeze_point": "layer2_0"},
        {"target.trained": ["layer4_1"]},
        {"replicate": 1},
    ],
)
def test_what_tells_targets_of_the_same_weights_apart_gives_each_a_stage_of_its_own(
    changes, tmp_path_factory
):
    """Skips taken out have no weights, nor has what an adaptive attacker knows or how trials are repeated."""
    folder = tmp_path_factory.mktemp("same")
    document = merge(DOCUMENT, {"target.architecture": "resnet18"})
    torch.manual_seed(0)
    torch.save(new_target(load_trial(document), 4).state_dict(), folder / "target.pt")
    store = Store(folder / "store")
    plain = make_external_target(load_trial(document), folder / "target.pt", store=store)
    other = make_external_target(load_trial(merge(document, changes)), folder / "target.pt", store=store)
    assert other.made_now and other.key != plain.key
    again = make_external_target(load_trial(merge(document, changes)), folder / "target.pt", store=store)
    assert not again.made_now and again.key == other.key


def test_a_torchvision_state_dict_gives_the_same_logits():
    config = load_trial(merge(DOCUMENT, {"target.architecture": "resnet18", "image_size": 64}))
    torch.manual_seed(0)
    theirs = resnet18(num_classes=4).eval()
    mine = new_target(config, 4).eval()
    fill(mine, config, theirs.state_dict(), "file")
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        features = mine.features(images)
        torch.testing.assert_close(mine(images), features @ theirs.fc.weight.T + theirs.fc.bias)
        assert torch.equal(mine.head.weight, theirs.fc.weight)


def test_weights_that_do_not_fit_are_named(ours, tmp_path):
    store, trained = ours
    config = load_trial(DOCUMENT)
    assert load_data(config).split.train.classes == 4
    weights = torch.load(f"{trained['artifacts']['target']}/target.pt", weights_only=True)
    bad = {k: v for k, v in weights.items() if k != "head.bias"} | {
        "head.weight": torch.zeros(7, weights["head.weight"].shape[1]),
        "extra": torch.zeros(1),
    }
    torch.save(bad, tmp_path / "bad.pt")
    with pytest.raises(ConfigError) as caught:
        make_external_target(config, tmp_path / "bad.pt", store=store)
    text = str(caught.value)
    assert "missing: head.bias" in text and "surplus: extra" in text and "head.weight (7, " in text
    with pytest.raises(ConfigError, match="found neither"):
        make_external_target(config, tmp_path, store=store)


def test_a_file_without_a_linear_head():
    config = load_trial(DOCUMENT)
    stages = new_target(config, 4).stages.state_dict()
    with pytest.raises(ConfigError, match=r"linear layer as the head.*none"):
        fill(new_target(config, 4), config, stages, "file")


def test_weights_of_another_architecture_are_the_targets_and_not_pretrainings():
    with pytest.raises(ConfigError) as caught:
        fill(new_target(load_trial(DOCUMENT), 4), load_trial(DOCUMENT), resnet18().state_dict(), "file")
    text = str(caught.value)
    assert text.startswith("the target expects the weights of small_cnn; file does not fit: missing:")
    assert "trial.target.architecture (-S or --study)" in text and "pretraining" not in text
