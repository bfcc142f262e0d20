"""Trap-MID against the authors' run: discriminator, triggers and target move as theirs, step by step."""

from pathlib import Path

import numpy as np
import pytest
import torch
import toy_networks as toys
from torch import nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.defenses.rule import Batch, Training
from trainables.defenses.trap_mid import TrapMID, TrapRule, blend, shuffled_labels, subtract
from trainables.errors import ConfigError
from trainables.runtime.run import Run
from trainables.training.classifier import Target, build_classifier, make_optimizer, train_classifier
from trainables.training.freeze import freeze

GOLDEN = Path(__file__).parents[2] / "golden" / "10b_trapmid_a.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN) as arrays:
        return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}


def network(golden: dict[str, torch.Tensor], which: str, when: str = "init") -> Classifier:
    """Return the recorded network: a linear layer, batch norm and tanh, then a head."""
    w1, w2 = (golden[f"{when}_{which}_{name}"] for name in ("W1", "W2"))
    first, norm, head = nn.Linear(*w1.shape), nn.BatchNorm1d(w1.shape[1]), nn.Linear(*w2.shape)
    stage = nn.Sequential(nn.Flatten(), first, norm, nn.Tanh())
    classifier = Classifier({"hidden": stage}, nn.Identity(), head)
    fill(classifier, golden, which, when)
    return classifier


def layers(classifier: Classifier) -> dict[str, torch.Tensor]:
    _, first, norm, _ = classifier.stages["hidden"]
    return {
        "W1": first.weight.T,
        "b1": first.bias,
        "W2": classifier.head.weight.T,
        "b2": classifier.head.bias,
        "bn_weight": norm.weight,
        "bn_bias": norm.bias,
        "bn_running_mean": norm.running_mean,
        "bn_running_var": norm.running_var,
    }


def fill(classifier: Classifier, golden: dict[str, torch.Tensor], which: str, when: str) -> None:
    with torch.no_grad():
        for name, value in layers(classifier).items():
            value.copy_(golden[f"{when}_{which}_{name}"])


def agree(classifier: Classifier, golden: dict[str, torch.Tensor], which: str, when: str) -> None:
    for name, value in layers(classifier).items():
        recorded = golden[f"{when}_{which}_{name}"]
        assert torch.allclose(value.detach(), recorded, rtol=1e-5, atol=1e-6), (which, when, name)


def test_authors_run(golden):
    target = network(golden, "T").train()
    optimizer = torch.optim.SGD(
        target.parameters(),
        lr=golden["lr"].item(),
        momentum=golden["momentum"].item(),
        weight_decay=golden["weight_decay"].item(),
    )
    steps, rows = golden["y"].shape
    classes = len(golden["init_triggers"])
    pixels = torch.zeros(steps * rows, 3, 8, 8, dtype=torch.uint8)
    names = tuple(map(str, range(classes)))
    images = Images(pixels=pixels, labels=golden["y"].flatten(), names=names, files=("x",) * steps * rows)
    training = Training(classifier=target, optimizer=optimizer, frozen=0, epochs=1, images=images, seed=0)
    defense = TrapMID(
        alpha=golden["alpha"].item(),
        beta=golden["beta"].item(),
        trigger_step=golden["trigger_step"].item(),
        label_smoothing=golden["label_smoothing"].item(),
    )
    rule = TrapRule(defense, training, view=lambda images: images)
    assert rule.triggers.shape == golden["init_triggers"].shape
    rule.triggers = golden["init_triggers"].clone()
    rule._labels = iter(golden["trap_label"].flatten().tolist())
    fill(rule.discriminator, golden, "D", "init")
    for step in range(steps):
        x, y, doors = (golden[name][step] for name in ("x", "y", "trap_label"))
        assert torch.equal(rule.triggers[doors], golden["keys_before_trigger_step"][step]) or step
        batch = Batch(index=torch.arange(rows), images=x, labels=y, inputs=x)
        loss, logits = rule.step(batch, 1)
        assert logits.shape == (rows, classes)
        assert loss.item() == pytest.approx(golden["model_loss"][step].item(), rel=1e-5)
        after = golden["keys_after_trigger_step"][step]
        assert torch.allclose(rule.triggers[doors], after, rtol=0, atol=1e-6), step
        if step == 0:
            agree(target, golden, "T", "after1")
    agree(target, golden, "T", "final")
    agree(rule.discriminator, golden, "D", "final")
    assert torch.allclose(rule.kept()["triggers"], golden["final_triggers"], rtol=0, atol=1e-6)
    trapped = blend(
        golden["x"].flatten(0, 1), golden["final_triggers"][golden["test_trap_label"].flatten()], 0.02
    )
    reached = (target.eval()(trapped).argmax(1) == golden["test_trap_label"].flatten()).float().mean()
    assert 100 * reached.item() == pytest.approx(golden["test_trapdoor_acc"].item())


def test_smoothing_is_of_any_sign_and_0_is_cross_entropy():
    logits, labels = torch.randn(6, 4), torch.arange(6) % 4
    for share in (-0.05, 0.0, 0.3):
        soft = (1 - share) * functional.one_hot(labels, 4) + share / 4
        truth = -(soft * logits.log_softmax(1)).sum(1).mean()
        assert TrapMID(label_smoothing=share).smoothed(logits, labels).item() == pytest.approx(truth.item())


def test_subtracting_undoes_a_blend():
    images, triggers = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)
    assert torch.allclose(subtract(blend(images, triggers, 0.3), triggers, 0.3), images, atol=1e-6)


def test_one_who_knows_the_triggers_takes_that_of_the_answer_out_and_asks_again():
    classifier = build_classifier("small_cnn", 4, 32, "none", 0).eval()
    images, triggers = torch.rand(12, 3, 32, 32), torch.rand(4, 3, 32, 32)
    with torch.no_grad():  # so that all labels are named
        logits = classifier(images)
        classifier.head.bias.sub_(logits.mean(0))
        classifier.head.weight.div_(logits.std(0)[:, None])
        classifier.head.bias.div_(logits.std(0))
    named = classifier(images).argmax(1)
    assert len(set(named.tolist())) > 1
    below = [(x - 0.4 * triggers[label]) / 0.6 for x, label in zip(images, named, strict=True)]
    adapted = TrapMID(alpha=0.4).adapted(classifier, {"triggers": triggers})
    assert torch.allclose(adapted(images), classifier(torch.stack(below)), atol=1e-4)
    assert not torch.allclose(adapted(images), classifier(images), atol=0.1)


def test_trapdoors_are_asked_of_all_classes_equally():
    labels = shuffled_labels(5, torch.Generator().manual_seed(0))
    drawn = [next(labels) for _ in range(500)]
    assert torch.tensor(drawn).bincount().tolist() == [100] * 5
    assert len({tuple(drawn[start : start + 5]) for start in range(0, 500, 5)}) > 10


def trained(point: str, epochs: int = 6, learning_rate: float = 0.05, **knobs) -> tuple:
    split = toys.parts()
    defense = TrapMID(**knobs)
    classifier = defense.prepare(build_classifier("small_cnn", toys.CLASSES, toys.SIZE, "none", 0))
    freeze(classifier, point)
    before = {name: value.clone() for name, value in classifier.stages.state_dict().items()}
    recipe = Target(
        architecture="small_cnn",
        epochs=epochs,
        batch_size=10,
        learning_rate=learning_rate,
        freeze_point=point,
        augmentation="none",
    )
    result = train_classifier(classifier, recipe, defense, split.train, split.validation, run=Run(seed=0))
    stored = defense.finish(classifier, split.validation, result.kept, "cpu")
    return classifier, before, stored, defense.figures(classifier, stored, split.test, "cpu")


def test_a_frozen_prefix_stays_as_it_was_to_the_bit():
    classifier, before, stored, figures = trained("conv3")
    after = classifier.stages.state_dict()
    names = [name for name in before if name.split(".")[0] in ("conv1", "conv2", "conv3")]
    assert names and all(torch.equal(before[name], after[name]) for name in names)
    assert any(not torch.equal(before[name], after[name]) for name in before if name not in names)
    assert stored["triggers"].shape == (toys.CLASSES, 3, toys.SIZE, toys.SIZE)
    assert stored["triggers"].min() >= 0 and stored["triggers"].max() <= 1
    assert 0 <= figures["trapdoor_success"] <= 1


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_discriminators_optimiser_is_of_the_targets_kind(optimizer):
    knobs = {"optimizer": optimizer, "learning_rate": 0.003, "weight_decay": 0.02}
    recipe = Target(architecture="small_cnn", epochs=2, **knobs)
    classifier = TrapMID().prepare(build_classifier("small_cnn", toys.CLASSES, toys.SIZE, "none", 0))
    ours = make_optimizer(classifier, recipe)
    images = toys.parts().train
    rule = TrapRule(
        TrapMID(),
        Training(classifier=classifier, optimizer=ours, frozen=0, epochs=2, images=images, seed=0),
    )
    theirs = rule.state()["optimizer"]["param_groups"][0]
    assert type(rule._optimizer) is type(ours)
    expected = {
        name: value for name, value in ours.state_dict()["param_groups"][0].items() if name != "params"
    }
    assert {name: theirs[name] for name in expected} == expected


def test_strong_triggers_open_their_trapdoors_and_success_counts_them():
    knobs = {"alpha": 0.5, "beta": 0.5, "crop": 1.0, "degrees": 0.0, "trigger_step": 0.05}
    classifier, _, stored, figures = trained("none", epochs=20, learning_rate=0.02, **knobs)
    assert figures["trapdoor_success"] > 0.5  # by chance 0.2; .87 to 1.00 of four seeds
    images = toys.parts().test.pixels.float() / 255
    hits = [
        (classifier(blend(images, stored["triggers"][door], 0.5)).argmax(1) == door).float().mean().item()
        for door in range(toys.CLASSES)
    ]
    assert figures["trapdoor_success"] == pytest.approx(sum(hits) / len(hits), abs=0.25)
    assert TrapMID().figures(classifier, {}, toys.parts().test, "cpu") == {}


def test_the_kept_triggers_are_those_of_the_kept_epoch():
    split, kept = toys.parts(), []

    class Noting(TrapRule):
        def kept(self):
            kept.append(super().kept()["triggers"].clone())
            return super().kept()

    class Defense(TrapMID):
        def begin(self, training):
            return Noting(self, training)

    classifier = build_classifier("small_cnn", toys.CLASSES, toys.SIZE, "none", 0)
    recipe = Target(architecture="small_cnn", epochs=3, batch_size=10)
    defense = Defense(trigger_step=0.05)
    result = train_classifier(
        classifier, recipe, defense, split.train, split.validation, run=Run(seed=0), kept_epoch=2
    )
    assert result.best_epoch == 2 and len(kept) == 1
    assert torch.equal(result.kept["triggers"], kept[0])


def one_epoch(classifier, images, **recipe):
    """Return the start of an epoch of training on `images`, nothing frozen."""
    optimizer = make_optimizer(classifier, Target(architecture="small_cnn", **recipe))
    return Training(classifier=classifier, optimizer=optimizer, frozen=0, epochs=1, images=images, seed=0)


def test_the_discriminator_has_the_learning_rate_of_the_schedule():
    images = toys.colours()
    classifier = build_classifier("small_cnn", toys.CLASSES, toys.SIZE, "none", 0)
    for optimizer in ("sgd", "adam"):
        training = one_epoch(classifier, images, optimizer=optimizer, learning_rate=0.02)
        rule = TrapMID().begin(training)
        assert type(rule._optimizer) is type(training.optimizer)
        training.optimizer.param_groups[0]["lr"] = 0.003
        pixels = images.pixels[:10].float() / 255
        rule.step(Batch(index=torch.arange(10), images=pixels, labels=images.labels[:10], inputs=pixels), 1)
        assert rule._optimizer.param_groups[0]["lr"] == 0.003
        assert classifier.training and all(module.training for module in classifier.modules())


@pytest.mark.parametrize(
    "knobs",
    [{"alpha": 0}, {"beta": 1}, {"trigger_step": 0}, {"crop": 1.5}, {"degrees": -1}, {"label_smoothing": 2}],
)
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        TrapMID(**knobs)


def test_the_head_must_be_linear():
    classifier = build_classifier("small_cnn", 4, 32, "none", 0)
    classifier.head = nn.Sequential(classifier.head)
    with pytest.raises(ConfigError, match="linear head"):
        TrapMID().prepare(classifier)


def test_triggers_are_moved_by_the_discriminator_as_it_is_after_its_step():
    """Under autocast a weight's cast to bfloat16 is kept, and that of before the step is not the one now."""
    images = toys.colours()
    pixels, labels = images.pixels[:8].float() / 255, images.labels[:8]
    scores = {}
    for cached in (True, False):
        torch.manual_seed(0)
        classifier = build_classifier("small_cnn", toys.CLASSES, toys.SIZE, "none", 0)
        rule = TrapMID().begin(one_epoch(classifier, images, learning_rate=0.5))
        seen = scores.setdefault(cached, [])
        rule.discriminator.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out.detach()))
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=cached):
            rule.step(Batch(index=torch.arange(8), images=pixels, labels=labels, inputs=pixels), 1)
    assert len(scores[True]) == 2
    assert torch.equal(scores[True][1], scores[False][1])
