"""CALoR's loss against numeric anchors, its least value, and its two phases in a training."""

import math

import pytest
import torch
from torch.nn import functional

from trainables.datasets.base import Images
from trainables.defenses.calor import CALoR, confidence_adaptation
from trainables.defenses.rule import Batch, Training
from trainables.runtime.run import Run
from trainables.training.classifier import Target, build_classifier, make_optimizer, train_classifier

LOGITS = torch.tensor([[2.0, -1.0, 0.5, 0.0], [0.0, 3.0, -2.0, 1.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 3])


@pytest.mark.parametrize(
    ("gamma", "smoothing", "rows"),
    [
        (8, 0, (-5.53306198e-3, -1.50309914e-8)),
        (4, 0, (-2.17614421e-2, -9.04159e-5)),
        (8, 0.05, (0.09311107, 0.13377575)),
    ],
)
def test_anchors(gamma, smoothing, rows):
    ours = [
        confidence_adaptation(LOGITS[row : row + 1], LABELS[row : row + 1], gamma, smoothing).item()
        for row in range(2)
    ]
    assert ours == pytest.approx(rows, rel=2e-7)
    both = confidence_adaptation(LOGITS, LABELS, gamma, smoothing).item()
    assert both == pytest.approx(sum(ours) / 2, rel=1e-12)


@pytest.mark.parametrize("gamma", [1.0, 4.0, 8.0])
def test_the_loss_is_least_where_the_confidence_is_e_to_minus_one_over_gamma(gamma):
    p = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    logits = torch.stack((p.log(), (1 - p).log()), 1)
    values = [confidence_adaptation(row[None], torch.tensor([0]), gamma).item() for row in logits]
    least = min(range(len(values)), key=values.__getitem__)
    assert p[least].item() == pytest.approx(math.exp(-1 / gamma), abs=1e-3)
    assert values[least] == pytest.approx(-0.25 / (math.e * gamma), rel=5e-5)


PIXELS = torch.randint(0, 256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0))
IMAGES = Images(
    pixels=PIXELS.to(torch.uint8),
    labels=torch.arange(4).repeat_interleave(4),
    names=tuple("abcd"),
    files=tuple(map(str, range(16))),
)


def test_the_second_phase_has_an_optimiser_and_a_schedule_of_its_own():
    """Each step is repeated by hand from where the rule was before it."""
    defense = CALoR(rank=4, adaptation_epochs=5, adaptation_rate=0.1)
    recipe = Target(architecture="small_cnn", epochs=2, batch_size=16, learning_rate=0.05, momentum=0.0)
    ours, theirs = (defense.prepare(build_classifier("small_cnn", 4, 32, "none", seed=0)) for _ in range(2))
    rule = defense.begin(
        Training(
            classifier=ours,
            optimizer=make_optimizer(ours, recipe),
            frozen=0,
            epochs=2,
            images=IMAGES,
            seed=0,
        )
    )
    images = PIXELS.float() / 255
    batch = Batch(index=torch.arange(16), images=images, labels=IMAGES.labels, inputs=images)
    first = make_optimizer(theirs, recipe)
    second = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(1, 8):
        logits = theirs(images)
        if epoch <= 2:
            loss, optimizer = functional.cross_entropy(logits, IMAGES.labels), first
        else:
            loss, optimizer = confidence_adaptation(logits, IMAGES.labels, 8.0), second
            second.param_groups[0]["lr"] = 0.1 * 0.1 ** sum(epoch - 2 > end for end in (3, 4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rule.step(batch, epoch)
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(a, b, rtol=1e-5, atol=1e-7), epoch


@pytest.mark.parametrize(
    ("length", "falls"),
    [
        (1, [0]),
        (2, [0, 0]),
        (3, [0, 0, 1]),
        (4, [0, 0, 0, 1]),
        (5, [0, 0, 0, 1, 2]),
        (10, [0] * 6 + [1] * 2 + [2] * 2),
    ],
)
def test_the_rate_of_the_second_phase_falls_after_three_and_four_fifths(length, falls):
    """Not before: a phase of one epoch has the rate that was asked for."""
    defense = CALoR(rank=4, adaptation_epochs=length, adaptation_rate=0.1)
    network = defense.prepare(build_classifier("small_cnn", 4, 32, "none", seed=0))
    recipe = Target(architecture="small_cnn", epochs=2)
    optimizer = make_optimizer(network, recipe)
    rule = defense.begin(
        Training(classifier=network, optimizer=optimizer, frozen=0, epochs=2, images=IMAGES, seed=0)
    )
    images = PIXELS.float() / 255
    batch = Batch(index=torch.arange(16), images=images, labels=IMAGES.labels, inputs=images)
    rates = []
    for epoch in range(3, 3 + length):
        rule.step(batch, epoch)
        rates.append(rule.state()["optimizer"]["param_groups"][0]["lr"])
    assert rates == pytest.approx([0.1 * 0.1**fallen for fallen in falls])


def test_confidence_is_adapted_in_a_training_whatever_the_first_phase_reached():
    defense = CALoR(rank=4, adaptation_epochs=3, adaptation_rate=0.5)
    classifier = defense.prepare(build_classifier("small_cnn", 4, 32, "none", seed=0))
    recipe = Target(architecture="small_cnn", epochs=12, batch_size=8, learning_rate=0.05)
    trained = train_classifier(classifier, recipe, defense, IMAGES, IMAGES, run=Run(seed=0))
    assert len(trained.history) == 15
    assert trained.best_epoch > 12


@pytest.mark.parametrize(
    "knobs",
    [{"rank": 0}, {"gamma": 0}, {"smoothing": 1.0}, {"adaptation_epochs": 0}, {"adaptation_rate": 0}],
)
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        CALoR(**knobs)


def test_confident_images_have_a_gradient_under_bfloat16():
    """Those that the loss pulls back: at p = 0.999 bfloat16 alone rounds their p to 1."""
    rows = torch.tensor([[9.0] + [0.0] * 9], dtype=torch.bfloat16, requires_grad=True)
    whole = rows.detach().float().requires_grad_()
    for logits in (rows, whole):
        confidence_adaptation(logits, torch.tensor([0]), gamma=8.0).backward()
    torch.testing.assert_close(rows.grad.float(), whole.grad, rtol=0.02, atol=0)
    assert rows.grad[0, 0] != 0
