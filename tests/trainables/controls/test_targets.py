"""Targets of the controls: what each is trained on, and that each is what it says."""

from dataclasses import replace

import pytest
import torch
from planted import PEOPLE, planted_trial
from torch.nn import functional

from trainables.architectures import ARCHITECTURES
from trainables.controls.smoothing import PositiveSmoothing
from trainables.controls.targets import (
    balanced,
    leaking,
    positive_target,
    sampler_target,
)
from trainables.defenses.bido import BiDO
from trainables.defenses.mid import MID
from trainables.defenses.none import NoDefense
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.stages.data import load_data
from trainables.stages.target import new_target
from trainables.storage.store import Store
from trainables.training.classifier import train_classifier


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def weights(path: str) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = torch.load(f"{path}/target.pt", weights_only=True)
    return loaded


def short(**changes):
    """Return the planted trial with few epochs."""
    trial = planted_trial(**changes)
    return replace(trial, target=replace(trial.target, epochs=4))


def test_the_positive_control_is_trained_to_its_last_epoch_with_nothing_frozen(store):
    trial = short(defense=MID(beta=0.1))
    trial = replace(trial, target=replace(trial.target, freeze_point="conv3"))
    control = positive_target(trial, "gmi", 0.3, store=store)
    assert (control.name, control.epoch) == ("positive", 4)
    free = leaking(trial, 0.3)
    assert free.target.freeze_point == "none" and free.defense == PositiveSmoothing(alpha=0.3)
    part = replace(trial, target=replace(trial.target, freeze_point="none", trained=("conv1",)))
    assert leaking(part, 0.3) == free
    data = load_data(trial)
    classifier = new_target(free, PEOPLE)
    train_classifier(
        classifier,
        free.target,
        free.defense,
        data.split.train,
        data.split.validation,
        run=Run(seed=derive(0, "replicate", 0)),
        kept_epoch=4,
    )
    stored = weights(control.artifacts["target"])
    assert all(torch.equal(stored[name], value) for name, value in classifier.state_dict().items())
    other = positive_target(trial, "gmi", 0.2, store=store)
    assert other.artifacts["target"] != control.artifacts["target"]


def test_the_sampler_control_is_plain_training_in_bidos_batches(store):
    trial = short()
    control = sampler_target(trial, "gmi", store=store)
    assert control is not None and control.name == "sampler"

    class Balanced(NoDefense):
        images_per_identity = BiDO().images_per_identity

    data = load_data(trial)
    classifier = new_target(trial, PEOPLE)
    train_classifier(
        classifier,
        trial.target,
        Balanced(),
        data.split.train,
        data.split.validation,
        run=Run(seed=derive(0, "replicate", 0)),
    )
    stored = weights(control.artifacts["target"])
    for name, value in classifier.state_dict().items():
        torch.testing.assert_close(stored[name], value, rtol=1e-4, atol=1e-5)


def test_the_sampler_is_the_templates_own():
    trial = balanced(short(defense=BiDO(measure="coco", lambda_x=5, images_per_identity=2)))
    assert trial is not None
    assert trial.defense == BiDO(measure="coco", lambda_x=0.0, lambda_y=0.0, images_per_identity=2)
    plain = balanced(short())
    assert plain is not None and plain.defense == BiDO(lambda_x=0.0, lambda_y=0.0)


def test_without_hooks_there_is_no_sampler_control(store, monkeypatch):
    trial = short()
    bare = ARCHITECTURES["small_cnn"].build(2, 32)
    bare.hooks = ()
    without = replace(ARCHITECTURES["small_cnn"], build=lambda classes, image_size: bare)
    monkeypatch.setitem(ARCHITECTURES, "small_cnn", without)
    assert sampler_target(trial, "gmi", store=store) is None


def test_bidos_terms_cost_nothing_where_they_weigh_nothing(monkeypatch):
    def refuse(*_):
        raise AssertionError("a kernel was computed")

    monkeypatch.setattr("trainables.defenses.bido.gaussian_kernel", refuse)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 0, 1, 1])
    loss = BiDO(lambda_x=0.0, lambda_y=0.0).loss(
        logits, labels, torch.rand(4, 3, 8, 8), {"z": torch.rand(4, 5)}
    )
    assert loss == functional.cross_entropy(logits, labels)
    with pytest.raises(AssertionError, match="a kernel"):
        BiDO(lambda_x=0.0).loss(logits, labels, torch.rand(4, 3, 8, 8), {"z": torch.rand(4, 5)})
