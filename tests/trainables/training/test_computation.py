import dataclasses

import pytest
import torch
import toy_networks as toys
from torch import nn

from trainables.architectures.base import Classifier
from trainables.defenses.none import NoDefense
from trainables.runtime.run import Run
from trainables.training.classifier import Target, train_classifier
from trainables.training.computation import autocast, computation

RECIPE = Target(architecture="small_resnet", epochs=2, batch_size=8, learning_rate=0.02, augmentation="flip")


def network():
    """Return a network whose weights are laid out as torch does by default."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=3),
        nn.Tanh(),
    ]
    return Classifier({"convolutions": nn.Sequential(*layers)}, nn.Flatten(), nn.Linear(200, toys.CLASSES))


def fit(**knobs):
    """Return the trained weights, the record, and the formats and layouts seen in training."""
    split = toys.parts()
    classifier = network()
    formats, layouts = set(), set()

    def look(module, inputs, output):
        if module.training and torch.is_grad_enabled():
            formats.add(output.dtype)
            layouts.add(module.weight.is_contiguous())

    convolution = [m for m in classifier.modules() if isinstance(m, torch.nn.Conv2d)][1]
    handle = convolution.register_forward_hook(look)
    recipe = dataclasses.replace(RECIPE, **knobs)
    trained = train_classifier(
        classifier, recipe, NoDefense(), split.train, split.validation, run=Run(seed=0)
    )
    handle.remove()
    return classifier, trained, formats, layouts


def test_training_in_half_precision_keeps_weights_and_figures_in_full():
    _, usual, formats, _ = fit()
    assert formats == {torch.float32}
    halved, trained, formats, _ = fit(precision="bfloat16")
    assert formats == {torch.bfloat16}
    assert {value.dtype for value in halved.state_dict().values()} == {torch.float32, torch.int64}
    assert trained.history[-1]["loss"] == pytest.approx(usual.history[-1]["loss"], rel=0.05)
    assert trained.history != usual.history
    with torch.no_grad():
        assert halved(torch.rand(2, 3, toys.SIZE, toys.SIZE)).dtype == torch.float32


def test_channels_last_trains_the_same_and_stores_as_usual():
    plain, usual, _, layouts = fit()
    assert layouts == {True}
    last, trained, _, layouts = fit(channels_last=True)
    assert layouts == {False}
    for name, value in last.state_dict().items():
        assert value.is_contiguous(), name
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1e-2, atol=1e-3)
    assert trained.history[0]["loss"] == pytest.approx(usual.history[0]["loss"], rel=1e-4)


def test_compiled_while_it_trains_alone(monkeypatch):
    compiled = []

    def fake(function, *_, **__):
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", fake)
    _, usual, _, _ = fit()
    assert compiled == []
    classifier, trained, _, _ = fit(compile=True)
    assert len(compiled) == 1 and trained == usual
    assert classifier._compiled_call_impl is None


def test_deterministic_operations_while_it_trains_alone(monkeypatch):
    seen = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD,
        "step",
        lambda self: (seen.append(torch.are_deterministic_algorithms_enabled()), step(self))[1],
    )
    before = torch.are_deterministic_algorithms_enabled()
    fit(deterministic=True)
    assert set(seen) == {True} and torch.are_deterministic_algorithms_enabled() == before
    with (
        pytest.raises(RuntimeError, match="stop"),
        computation(network(), dataclasses.replace(RECIPE, deterministic=True)),
    ):
        raise RuntimeError("stop")
    assert torch.are_deterministic_algorithms_enabled() == before


def test_full_precision_asks_for_no_autocast():
    with autocast(RECIPE, "cpu"):
        assert not torch.is_autocast_enabled("cpu")
    with autocast(dataclasses.replace(RECIPE, precision="bfloat16"), "cpu"):
        assert torch.is_autocast_enabled("cpu")
