"""Surrogates learn the labels they are given, from half plain and half viewed images."""

import math

import pytest
import torch
from torch import Tensor, nn

from trainables.errors import ConfigError, TrialError
from trainables.priors.surrogates import SURROGATES, build, check_names, teach
from trainables.runtime.run import Run


def learn(network: nn.Module, labels: Tensor, pictures: Tensor, **options) -> list[tuple[int, int, float]]:
    seen: list[tuple[int, int, float]] = []

    def report(stage: str, done: int, total: int, *, surrogate_loss: float) -> None:
        assert stage == "prior"
        seen.append((done, total, surrogate_loss))

    arguments = {"epochs": 8, "steps": 4, "batch_size": 8, "learning_rate": 0.05} | options
    teach(
        network,
        lambda index: pictures[index],
        labels,
        generator=torch.Generator().manual_seed(0),
        run=Run(report=report),
        **arguments,
    )
    return seen


def bright_or_dark(count: int = 24) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 2
    noise = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return labels, 0.6 * labels[:, None, None, None] + 0.3 * noise


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))


def test_labels_are_learnt():
    labels, pictures = bright_or_dark()
    network = small()
    done, total, loss = learn(network, labels, pictures, before=5, units=50)[-1]
    assert (done, total) == (5 + 8 * 4, 50) and loss < 0.9 * math.log(2)
    assert (network(pictures).argmax(1) == labels).float().mean() > 0.9


def test_the_rate_falls_by_a_cosine(monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def watched(self, *arguments, **named):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.SGD, "step", watched)
    labels, pictures = bright_or_dark()
    learn(small(), labels, pictures, epochs=4, steps=3, learning_rate=1.0)
    expected = [
        (1 + torch.tensor(torch.pi * epoch / 4).cos().item()) / 2 for epoch in range(4) for _ in range(3)
    ]
    assert rates == pytest.approx(expected, abs=1e-6)


def test_a_loss_that_is_not_a_number_fails_the_trial():
    labels, pictures = bright_or_dark()
    with pytest.raises(TrialError, match="not finite at step 32 of 32"):
        learn(small(), labels, pictures * float("nan"))


def test_architectures_of_this_package_can_be_surrogates():
    assert build("small_cnn", 4, 32)(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    check_names(SURROGATES, "surrogates")
    with pytest.raises(ValueError, match=r"surrogates must name architectures .* got 'densenet12'"):
        check_names(("densenet12",), "surrogates")


def test_a_densenet_stays_the_network_that_stored_surrogates_were():
    network = build("densenet121", 3, 32)
    assert {name.split(".")[0] for name in network.state_dict()} == {"features", "classifier"}


def test_a_surrogate_of_another_size_is_named():
    with pytest.raises(ConfigError, match=r"inception_v3 expects images of at least 75 pixels; got 32"):
        build("inception_v3", 3, 32)
