"""LOKT's GAN and surrogates: what they ask for, what they learn, and that labels are all they need."""

import itertools
import time

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.nn.conditional_gan import ConditionalGenerator
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
    assert len(networks.discriminator.surrogates) == 1
    # three iterations, three batches of questions, two epochs of two batches
    assert reports[-1] == ("prior", 3 + 3 + 4, 10)


def test_progress_is_of_batches_whichever_part_they_are_of(monkeypatch):
    """A step of the GAN, a batch of questions and one of a surrogate are a unit each, each told in time."""
    made = []
    generate = ConditionalGenerator.forward
    monkeypatch.setattr(
        ConditionalGenerator, "forward", lambda self, z: made.append(len(z)) or generate(self, z)
    )
    seconds = itertools.count(step=2.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))  # a report is always due
    told = []
    LOKTPrior(**SMALL, iterations=3, surrogates=("small_cnn", "small_cnn")).train(
        public(),
        run=Run(seed=0, report=lambda stage, *done, **_: told.append((len(made), *done))),
        target=colours(),
    )
    turns = SMALL["critic_steps"] + 1  # generations of an iteration
    assert told == [
        *((turns * done, done, 14) for done in (1, 2, 3)),
        *((turns * 3 + done, 3 + done, 14) for done in range(1, 3 + 2 * 4 + 1)),
    ]


def test_the_second_head_learns_the_targets_labels_of_generated_images():
    """Its first step, held against the cross-entropy with what the target says of the same images."""
    seen = []
    target = colours()
    target.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    knobs = {"iterations": 1, "warmup": 0, "critic_steps": 1, "surrogates": (), "batch_size": 12}
    weighed = train(target, class_weight=5.0, learning_rate=1e-3, **knobs)[0].discriminator
    without = train(target, class_weight=0.0, learning_rate=1e-3, **knobs)[0].discriminator

    start = LOKTPrior(**(SMALL | knobs)).untrained(32, 3, run=Run(seed=0)).discriminator.train()
    logits, answers = start.classify(seen[0]), colours()(seen[0]).argmax(1)
    functional.cross_entropy(logits, answers).backward()
    before = dict(start.labels.named_parameters())
    for name, after in weighed.labels.named_parameters():
        moved, gradient = after - before[name], before[name].grad
        steep = gradient.abs() > 0.1 * gradient.abs().max()  # of the others rounding may turn the sign
        assert torch.equal(moved[steep].sign(), -gradient[steep].sign())  # the first step of Adam
    unmoved = dict(without.labels.named_parameters())
    assert all(torch.equal(unmoved[name], value) for name, value in before.items())


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
