"""LOKT's GAN and surrogates: what they ask for, what they learn, and that labels are all they need."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.oracle import LabelOracle, ScoreOracle
from trainables.priors.lokt import LOKTPrior
from trainables.runtime.run import Run

SMALL = {
    "latent_size": 4,
    "width": 2,
    "critic_steps": 2,
    "batch_size": 6,
    "images_per_class": 5,
    "epoch_images": 12,
    "surrogate_batch": 6,
    "surrogate_epochs": 2,
}


class Means(nn.Module):
    """Images (n, 3, S, S) -> the means of their colours (n, 3)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def colours() -> Classifier:
    """A target whose class is the strongest colour."""
    target = Classifier({"mean": Means()}, nn.Identity(), nn.Linear(3, 3))
    with torch.no_grad():
        target.head.weight.copy_(20 * torch.eye(3))
        target.head.bias.zero_()
    return target.eval()


def public(count: int = 20) -> Images:
    drawn = torch.rand(count, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 32, 32)
    pixels = (drawn * 255).to(torch.uint8).contiguous()
    files = tuple(str(number) for number in range(count))
    return Images(pixels=pixels, labels=torch.zeros(count, dtype=torch.int64), names=("all",), files=files)


def train(target, seed=0, **knobs):
    reports = []
    networks = LOKTPrior(**(SMALL | knobs)).train(
        public(), run=Run(seed=seed, report=lambda *done, **_: reports.append(done)), target=target
    )
    return networks, reports


def test_every_question_is_counted():
    oracle = LabelOracle(colours(), "cpu")
    networks, reports = train(oracle, iterations=3, warmup=1, surrogates=("small_cnn",))
    # two steps with labels of two discriminator batches each, then five images of three classes
    assert oracle.queries == int(networks.discriminator.queries) == 2 * 2 * 6 + 3 * 5
    assert reports[-1] == ("prior", 5, 5) and len(networks.discriminator.surrogates) == 1


def test_the_heads_learn_the_targets_labels():
    """With no pull on the generator's images but the labels' own, the second head comes to agree.

    A GAN is chaotic: a rounding turns any one of them. So several count, by a mean far from chance: their
    cross-entropies are 0.01 to 0.4 where a head that says nothing has ln 3.
    """
    labels = torch.arange(3).repeat_interleave(30).float()[:, None]
    latents = torch.cat((torch.randn(90, 4, generator=torch.Generator().manual_seed(1)), labels), 1)
    knobs = {"iterations": 40, "warmup": 0, "class_weight": 5.0, "surrogates": (), "batch_size": 12}
    losses = []
    for seed in range(3):
        networks, _ = train(colours(), seed=seed, learning_rate=5e-3, **knobs)
        with torch.no_grad():
            images = networks.generator(latents)
            logits, truth = networks.discriminator.classify(images), colours()(images).argmax(1)
        losses.append(functional.cross_entropy(logits, truth).item())
    assert sum(losses) / len(losses) < 0.75 * math.log(3)


def test_an_oracle_and_its_target_teach_the_same():
    knobs = {"iterations": 2, "warmup": 0, "surrogates": ("small_cnn",)}
    (first, _), (second, _) = train(colours(), **knobs), train(LabelOracle(colours(), "cpu"), **knobs)
    weights = zip(
        first.discriminator.state_dict().values(), second.discriminator.state_dict().values(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in weights)


def test_scores_are_more_than_is_asked_for():
    for target in (None, ScoreOracle(colours(), "cpu")):
        with pytest.raises(ConfigError, match="expects a target that answers with labels"):
            LOKTPrior(surrogates=()).train(public(), run=Run(seed=0), target=target)


def test_a_brief_run_keeps_the_share_of_the_surrogates():
    whole = LOKTPrior(iterations=100, surrogate_epochs=10, epoch_images=60, surrogate_batch=2)
    short = whole.short_run(8, 100, 4)
    first, more = (
        (run.iterations, run.surrogate_epochs * (run.epoch_images // run.surrogate_batch))
        for run in (short.first, short.more)
    )
    iterations, steps = (a + (b - a) * short.times for a, b in zip(first, more, strict=True))
    assert (iterations, steps) == (100, 300)


@pytest.mark.parametrize("knob", ["width", "iterations", "batch_size", "images_per_class", "surrogate_rate"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        LOKTPrior(**{knob: 0})
    with pytest.raises(ValueError, match="surrogates must name"):
        LOKTPrior(surrogates=("nobody",))
