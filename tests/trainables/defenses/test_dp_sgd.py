"""DP-SGD: clipped gradients of single images against one by one, its budget, and what freezing leaves."""

import math
import sys

import pytest
import torch
import toy_networks as toys
from torch.nn import functional

from trainables.architectures import ARCHITECTURES
from trainables.datasets.base import as_float
from trainables.defenses import dp_sgd
from trainables.defenses.dp_sgd import DPSGD, spent_epsilon
from trainables.defenses.rule import Batch, Training
from trainables.errors import ConfigError
from trainables.runtime.run import Run
from trainables.training.batches import poisson
from trainables.training.classifier import Target, build_classifier, train_classifier
from trainables.training.freeze import freeze

pytest.importorskip("opacus")

STILL = 1e-12  # a noise multiplier that cannot be seen in float32


def begun(defense: DPSGD, point: str = "none", batch_size: int = 8, seed: int = 0) -> tuple:
    """Return a rule, its classifier and what a batch of six images is."""
    classifier = defense.prepare(build_classifier("small_cnn", toys.CLASSES, toys.SIZE, "none", 0))
    frozen = freeze(classifier, point)
    images = toys.colours()
    optimizer = torch.optim.SGD([p for p in classifier.parameters() if p.requires_grad], lr=0.5)
    rule = defense.begin(
        Training(
            classifier=classifier,
            optimizer=optimizer,
            frozen=frozen,
            epochs=1,
            images=images,
            seed=seed,
            batch_size=batch_size,
        )
    )
    index = torch.arange(0, 30, 5)
    pixels = as_float(images.pixels[index])
    with torch.no_grad():
        inputs = classifier.run(pixels, 0, frozen) if frozen else pixels
    return rule, classifier, Batch(index=index, images=pixels, labels=images.labels[index], inputs=inputs)


def trained_weights(classifier) -> list[torch.Tensor]:
    return [p for p in classifier.parameters() if p.requires_grad]


@pytest.mark.parametrize("point", ["none", "conv3"])
@pytest.mark.parametrize("at_once", [1 << 28, 1])
def test_a_step_is_the_sum_of_gradients_clipped_one_by_one(point, at_once, monkeypatch):
    monkeypatch.setattr(dp_sgd, "AT_ONCE", at_once)
    length, expected = 0.5, 8
    rule, classifier, batch = begun(DPSGD(noise_multiplier=STILL, max_grad_norm=length), point)
    weights = trained_weights(classifier)
    frozen = list(classifier.stages).index(point) + 1 if point != "none" else 0
    before = [p.detach().clone() for p in weights]
    summed, norms, losses, logits = [torch.zeros_like(p) for p in weights], [], [], []
    for row in range(6):
        logit = classifier(batch.inputs[row : row + 1], frozen)
        loss = functional.cross_entropy(logit, batch.labels[row : row + 1])
        slopes = torch.autograd.grad(loss, weights)
        norm = math.sqrt(sum(slope.double().pow(2).sum().item() for slope in slopes))
        for total, slope in zip(summed, slopes, strict=True):
            total += slope * min(1.0, length / norm)
        norms.append(norm)
        losses.append(loss.item())
        logits.append(logit.detach())
    assert max(norms) > length  # else nothing is clipped
    loss, answers = rule.step(batch, 1)
    assert loss.item() == pytest.approx(sum(losses) / 6, rel=1e-5)
    assert torch.allclose(answers, torch.cat(logits), atol=1e-5)
    for weight, start, total in zip(weights, before, summed, strict=True):
        assert torch.allclose(weight, start - 0.5 * total / expected, atol=1e-6)


def test_an_empty_batch_is_a_step_of_noise_alone():
    rule, classifier, batch = begun(DPSGD(noise_multiplier=2.0, max_grad_norm=0.5))
    before = torch.cat([p.detach().flatten() for p in trained_weights(classifier)])
    nothing = torch.zeros(0, dtype=torch.int64)
    empty = Batch(index=nothing, images=batch.images[:0], labels=batch.labels[:0], inputs=batch.inputs[:0])
    loss, logits = rule.step(empty, 1)
    assert loss.item() == 0 and logits.shape == (0, toys.CLASSES)
    moved = torch.cat([p.detach().flatten() for p in trained_weights(classifier)]) - before
    assert moved.std().item() == pytest.approx(0.5 * 2.0 * 0.5 / 8, rel=0.02)
    assert moved.mean().abs().item() < 1e-3


def test_noise_follows_the_seed_of_the_training():
    ends = []
    for seed in (0, 0, 1):
        rule, classifier, batch = begun(DPSGD(noise_multiplier=0.5), seed=seed)
        rule.step(batch, 1)
        ends.append(torch.cat([p.detach().flatten() for p in trained_weights(classifier)]))
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_poisson_batches_take_each_image_by_itself():
    generator = torch.Generator().manual_seed(0)
    batches = [batch for _ in range(2000) for batch in poisson(10, 4, generator)]
    assert len(batches) == 2000 * 2
    counts = torch.zeros(10)
    for batch in batches:
        counts += batch.bincount(minlength=10)
    assert torch.allclose(counts / len(batches), torch.full((10,), 0.4), atol=0.03)
    sizes = torch.tensor([float(len(batch)) for batch in batches])
    assert sizes.var().item() == pytest.approx(10 * 0.4 * 0.6, rel=0.1) and sizes.min() == 0
    assert [batch.tolist() for batch in poisson(3, 8, generator)] == [[0, 1, 2]]


def trained(point: str, stages: tuple[str, ...] | None = None, **knobs) -> tuple:
    split = toys.parts()
    defense = DPSGD(**knobs)
    classifier = defense.prepare(build_classifier("small_cnn", toys.CLASSES, toys.SIZE, "none", 0))
    freeze(classifier, point)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    recipe = Target(
        architecture="small_cnn",
        epochs=4,
        batch_size=10,
        learning_rate=0.2,
        freeze_point=point,
        trained=stages,
    )
    result = train_classifier(classifier, recipe, defense, split.train, split.validation, run=Run(seed=0))
    stored = defense.finish(classifier, split.validation, result.kept, "cpu")
    return classifier, before, stored, defense.figures(classifier, stored, split.test, "cpu")


def test_a_frozen_prefix_stays_as_it_was_and_keeps_the_statistics_of_pre_training():
    classifier, before, _, _ = trained("conv3")
    after = classifier.state_dict()
    names = [name for name in before if name.startswith(("stages.conv1.", "stages.conv2.", "stages.conv3."))]
    marks = [name for name in names if name.endswith("grouped")]
    assert marks and all(before[name] and not after[name] for name in marks)
    assert all(torch.equal(before[name], after[name]) for name in names if name not in marks)
    later = [name for name in before if name.startswith(("stages.", "head.")) and name not in names]
    assert all(after[name] for name in later if name.endswith("grouped"))
    assert any(not torch.equal(before[name], after[name]) for name in later)


def test_frozen_stages_after_a_trained_one_keep_the_statistics_of_pre_training_too():
    classifier, before, _, _ = trained("none", stages=("conv2", "conv6"))
    after = classifier.state_dict()
    for name, value in after.items():
        frozen = name.startswith("stages.") and name.split(".")[1] not in ("conv2", "conv6")
        if name.endswith("grouped"):
            assert bool(value) != frozen, name
        elif frozen:
            assert torch.equal(value, before[name]), name
    assert not torch.equal(after["stages.conv2.0.weight"], before["stages.conv2.0.weight"])


def test_the_budget_is_that_of_all_steps_whichever_epoch_is_kept():
    _, _, stored, figures = trained("none", noise_multiplier=2.0)
    images = len(toys.parts().train)
    counts = {name: int(value) for name, value in stored.items()}
    assert counts == {"steps": 4 * (images // 10), "batch_size": 10, "images": images}
    assert figures == {
        "dp_epsilon": spent_epsilon(2.0, 10 / images, counts["steps"], 1 / images),
        "dp_delta": 1 / images,
    }
    assert DPSGD().figures(None, {}, toys.parts().test, "cpu") == {}


def test_the_budget_of_whole_batches_is_that_of_the_gaussian_mechanism():
    """Without sampling, Rényi divergence of order a is a·steps/(2 sigma²); Balle et al. 2020 convert it."""
    sigma, steps, delta = 3.0, 20, 1e-3
    truth = min(
        order * steps / (2 * sigma**2)
        + math.log1p(-1 / order)
        - (math.log(delta) + math.log(order)) / (order - 1)
        for order in [1 + k / 1000 for k in range(1, 60_000)]
    )
    assert spent_epsilon(sigma, 1.0, steps, delta) == pytest.approx(truth, rel=5e-3)


@pytest.mark.parametrize("sigma", [1e-3, 1e-2, 0.1, 1.0])
def test_a_vacuous_budget_is_a_number_all_the_same(sigma):
    epsilon = spent_epsilon(sigma, 0.02, 5000, 1e-4)
    assert math.isfinite(epsilon)
    assert epsilon > spent_epsilon(2 * sigma, 0.02, 5000, 1e-4) > 0


@pytest.mark.parametrize("kind", ["small_cnn", "small_resnet", "resnet18", "mobilenet_v2", "vgg16_bn"])
def test_gradients_of_single_images_can_be_had_of_other_architectures(kind):
    defense = DPSGD()
    torch.manual_seed(0)
    classifier = defense.prepare(ARCHITECTURES[kind].build(toys.CLASSES, 64))
    point = list(classifier.stages)[-2]
    frozen = freeze(classifier, point)
    images = toys.colours(per_identity=1, size=64)
    optimizer = torch.optim.SGD([p for p in classifier.parameters() if p.requires_grad], lr=0.1)
    training = Training(
        classifier=classifier, optimizer=optimizer, frozen=frozen, epochs=1, images=images, seed=0
    )
    rule = defense.begin(training)
    pixels = as_float(images.pixels)[:2]
    with torch.no_grad():
        inputs = classifier.run(pixels, 0, frozen)
    before = classifier.head.weight.detach().clone()
    loss, _ = rule.step(
        Batch(index=torch.arange(2), images=pixels, labels=images.labels[:2], inputs=inputs), 1
    )
    assert loss.isfinite() and not torch.equal(classifier.head.weight, before)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus.optimizers", None)
    for work in (DPSGD().check_installed, lambda: begun(DPSGD())):
        with pytest.raises(ConfigError, match=r"expects opacus, .*inversion-sweeper\[dp\]"):
            work()


@pytest.mark.parametrize("knobs", [{"noise_multiplier": 0}, {"max_grad_norm": 0}])
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        DPSGD(**knobs)


def test_a_compiled_network_is_differentiated_image_by_image_as_any_other():
    """The compiler cannot follow a gradient of each image: the network's own forward is called."""
    steps = []
    for compiled in (False, True):
        rule, classifier, batch = begun(DPSGD(noise_multiplier=STILL, max_grad_norm=0.5), "conv3")
        if compiled:
            classifier.compile(backend="eager")
        loss, logits = rule.step(batch, 1)
        steps.append((loss, logits, *(p.detach().clone() for p in trained_weights(classifier))))
    for plain, other in zip(*steps, strict=True):
        assert torch.equal(plain, other)
