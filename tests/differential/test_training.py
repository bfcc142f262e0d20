"""Trainings by a recipe, under each defense, against plain loops in float64, away from every default."""

import dataclasses

import numpy as np
import pytest
import torch
import toy_networks as toys
from away import away
from torch import nn

from trainables.architectures.base import Classifier
from trainables.defenses.bido import BiDO
from trainables.defenses.mid import MID
from trainables.defenses.none import NoDefense
from trainables.runtime.run import Run
from trainables.runtime.seeds import stream
from trainables.training.batches import draw_augmentation, shuffled, take_batch
from trainables.training.classifier import Target, train_classifier

EPOCHS = 4


def network() -> Classifier:
    """Return a smooth network without batch norm in float64: nothing in it turns a rounding into more."""
    torch.manual_seed(0)
    stages = {
        "first": nn.Sequential(nn.Conv2d(3, 3, 3, stride=4), nn.Tanh()),
        "second": nn.Sequential(nn.Conv2d(3, 2, 3, stride=2), nn.Tanh()),
    }
    head = nn.Linear(18, toys.CLASSES)
    return Classifier(stages, nn.Flatten(), head, hooks=("first", "second")).double()


@pytest.fixture(autouse=True)
def float64(monkeypatch):
    """Images in float64 too."""
    from trainables.training import frozen_prefix

    as_float = frozen_prefix.as_float
    monkeypatch.setattr(frozen_prefix, "as_float", lambda pixels: as_float(pixels).double())


class ByHand:
    """SGD with momentum and weight decay, and Adam, on numbers."""

    def __init__(self, recipe: Target, weights) -> None:
        self.recipe, self.weights = recipe, list(weights)
        self.first = [torch.zeros_like(w) for w in self.weights]
        self.second = [torch.zeros_like(w) for w in self.weights]
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients, rate: float) -> None:
        self.steps += 1
        r = self.recipe
        for place, (weight, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
            g = gradient + r.weight_decay * weight
            if r.optimizer == "adam":
                self.first[place] = 0.9 * self.first[place] + 0.1 * g
                self.second[place] = 0.999 * self.second[place] + 0.001 * g**2
                size = (self.second[place] / (1 - 0.999**self.steps)).sqrt() + 1e-8
                weight -= rate * self.first[place] / (1 - 0.9**self.steps) / size
                continue
            start = self.steps == 1
            self.first[place] = g if start else r.momentum * self.first[place] + g
            weight -= rate * (g + r.momentum * self.first[place] if r.nesterov else self.first[place])


def rate_of(recipe: Target, epoch: int) -> float:
    """Return the learning rate of an epoch from 0."""
    if recipe.schedule == "cosine":
        return recipe.learning_rate * (1 + np.cos(np.pi * epoch / recipe.epochs)) / 2
    if recipe.schedule == "multistep":
        return recipe.learning_rate * recipe.gamma ** sum(epoch >= stone for stone in recipe.milestones)
    return recipe.learning_rate


SGD = {
    "architecture": "none of the registry",
    "epochs": EPOCHS,
    "batch_size": 7,
    "learning_rate": 0.3,
    "momentum": 0.6,
    "weight_decay": 0.05,
    "augmentation": "crop_flip",
}
RECIPES = {
    "multistep": {"schedule": "multistep", "milestones": (1, 3), "gamma": 0.3, "nesterov": True},
    "cosine": {"schedule": "cosine"},
    "frozen": {"schedule": "cosine", "freeze_point": "first", "augmentation": "none"},
    "adam": {"optimizer": "adam", "learning_rate": 0.02, "schedule": "cosine"},
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name):
    recipe = Target(**SGD | RECIPES[name])
    split = toys.parts()
    images, labels = split.train.pixels, split.train.labels
    ours, reference = network(), network()
    trained = train_classifier(ours, recipe, NoDefense(), split.train, split.validation, run=Run(seed=2))
    frozen = (
        {f"stages.first.0.{part}" for part in ("weight", "bias")} if "freeze_point" in RECIPES[name] else ()
    )
    weights = {key: w for key, w in reference.named_parameters() if key not in frozen}
    hand = ByHand(recipe, weights.values())
    order, views = stream(2, "target", "order"), stream(2, "target", "views")
    reached, states, losses = [], [], []
    for epoch in range(EPOCHS):
        loss_sum = steps = 0
        for index in shuffled(len(labels), recipe.batch_size, order):
            seen = draw_augmentation(len(index), toys.SIZE, recipe.augmentation, views)
            batch = take_batch(images, index, seen).float().div(255).double()
            log_p = reference(batch).log_softmax(1)
            loss = -log_p[torch.arange(len(index)), labels[index]].mean()
            hand.step(torch.autograd.grad(loss, hand.weights), rate_of(recipe, epoch))
            loss_sum, steps = loss_sum + loss.item(), steps + 1
        losses.append(loss_sum / steps)
        with torch.no_grad():
            named = reference(split.validation.pixels.float().div(255).double()).argmax(1)
        reached.append((named == split.validation.labels).double().mean().item())
        states.append({key: w.detach().clone() for key, w in reference.named_parameters()})
    assert [row["loss"] for row in trained.history] == pytest.approx(losses, rel=1e-8)
    assert [row["validation_accuracy"] for row in trained.history] == reached
    best = reached.index(max(reached))
    assert trained.best_epoch == best + 1
    for key, weight in ours.named_parameters():
        torch.testing.assert_close(weight, states[best][key], rtol=1e-8, atol=1e-10)
    start = dict(network().named_parameters())
    moved = max((states[-1][key] - start[key]).abs().max().item() for key in weights)
    assert moved > 0.05


def gaussian(rows: np.ndarray, sigma: float) -> np.ndarray:
    """The kernel by its definition, pair by pair."""
    flat = rows.reshape(len(rows), -1)
    return np.array([[np.exp(-((a - b) ** 2).mean() / (2 * sigma**2)) for b in flat] for a in flat])


def label_kernel(labels: np.ndarray, kind: str, sigma: float) -> np.ndarray:
    rows = np.eye(toys.CLASSES)[labels]
    if kind == "linear":
        return rows @ rows.T
    squared = ((rows[:, None] - rows[None]) ** 2).sum(2)
    if kind == "gaussian":
        return np.exp(-squared / (2 * sigma**2 * toys.CLASSES))
    return 1 / np.sqrt(1 + squared)


def dependence(a: np.ndarray, b: np.ndarray, measure: str, norm: str) -> float:
    m = len(a)
    centre = np.eye(m) - np.ones((m, m)) / m
    a, b = centre @ a @ centre, centre @ b @ centre
    if measure == "coco":
        return np.sqrt(np.linalg.norm(a @ b, "fro" if norm == "frobenius" else 2)) / m
    a, b = (k @ np.linalg.inv(k + 1e-5 * m * np.eye(m)) for k in (a, b))
    return np.trace(a @ b)


@pytest.mark.parametrize("measure", ["hsic", "coco"])
@pytest.mark.parametrize("kernel", ["linear", "gaussian", "imq"])
@pytest.mark.parametrize("norm", ["frobenius", "spectral"])
def test_bido(measure, kernel, norm):
    defense = away(
        BiDO,
        but=("measure", "label_kernel", "coco_norm"),
        measure=measure,
        lambda_x=0.7,
        lambda_y=0.2,
        sigma=0.3,
        label_kernel=kernel,
        coco_norm=norm,
        images_per_identity=3,
    )
    g = torch.Generator().manual_seed(1)
    images = torch.rand(9, 3, 4, 4, generator=g, dtype=torch.float64)
    hidden = {
        "one": torch.randn(9, 2, 3, generator=g).double(),
        "two": torch.randn(9, 5, generator=g).double(),
    }
    logits = torch.randn(9, toys.CLASSES, generator=g, dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 4, 4, 4])
    of_x = gaussian(images.numpy(), defense.sigma)
    of_y = label_kernel(labels.numpy(), kernel, defense.sigma)
    expected = -logits.log_softmax(1)[torch.arange(9), labels].mean().item()
    for values in hidden.values():
        of_z = gaussian(values.numpy(), defense.sigma)
        expected += defense.lambda_x * dependence(of_z, of_x, measure, norm)
        expected -= defense.lambda_y * dependence(of_z, of_y, measure, norm)
    assert defense.loss(logits, labels, images, hidden).item() == pytest.approx(expected, rel=1e-7)
    assert defense.images_per_identity == 3


def test_bidos_loss_trains_the_network():
    """One step of training is one on the loss above, of the hooks of the trained stages alone."""
    defense = BiDO(lambda_x=0.7, lambda_y=0.2, sigma=0.3, label_kernel="imq", images_per_identity=6)
    recipe = Target(**SGD | {"epochs": 1, "batch_size": 30, "augmentation": "none", "freeze_point": "first"})
    split = toys.parts()
    ours, reference = network(), network()
    train_classifier(ours, recipe, defense, split.train, split.validation, run=Run(seed=2))
    images = split.train.pixels.float().div(255).double()
    trace: dict = {}
    logits = reference(images, trace=trace)
    trace.pop("first")
    defense.loss(logits, split.train.labels, images, trace).backward()
    for key, weight in reference.named_parameters():
        moved = 0 if key.startswith("stages.first") else recipe.learning_rate
        expected = weight - moved * (weight.grad + recipe.weight_decay * weight)
        torch.testing.assert_close(dict(ours.named_parameters())[key], expected, rtol=1e-6, atol=1e-9)


def test_mid():
    defense = away(MID, beta=0.3, bottleneck=4)
    torch.manual_seed(0)
    classifier = defense.prepare(network()).double()
    images = toys.colours().pixels[::5].double() / 255
    labels = toys.colours().labels[::5]
    noise = torch.randn(len(images), defense.bottleneck).double()
    from trainables.architectures.head_noise import head_noise

    trace: dict = {}
    with head_noise(classifier, noise):
        logits = classifier(images, trace=trace)
    feature = classifier.features(images)
    encoded = feature @ classifier.head.encode.weight.T + classifier.head.encode.bias
    mu, raw = encoded[:, :4], encoded[:, 4:]
    sigma = torch.log1p(torch.exp(raw - 5))
    expected = (mu + sigma * noise) @ classifier.head.classify.weight.T + classifier.head.classify.bias
    torch.testing.assert_close(logits, expected)
    log_p = expected - expected.exp().sum(1, keepdim=True).log()
    divergence = (0.5 * (mu**2 + sigma**2 - 1 - 2 * sigma.log())).sum(1).mean()
    loss = -log_p[torch.arange(len(labels)), labels].mean() + 0.3 * divergence
    assert defense.loss(logits, labels, images, trace).item() == pytest.approx(loss.item(), rel=1e-10)
    assert divergence > 1


def test_the_recipes_cover_every_knob():
    knobs = {name for recipe in (SGD, *RECIPES.values()) for name in recipe}
    # tests/trainables/training and the recorded traces
    others = {"normalization", "frozen_batchnorm", "trained", "kept_epoch"}
    others |= {
        "precision",
        "channels_last",
        "compile",
        "deterministic",
    }  # test_computation
    assert knobs | others == {field.name for field in dataclasses.fields(Target)}
