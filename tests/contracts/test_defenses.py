"""What every defense must do. A new one in the registry is tested by being there."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from search_spaces.defenses import BRANCHES
from sweeper.study.adaptive_attackers import PATTERN
from trainables.architectures import ARCHITECTURES
from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.architectures.skips import ScaledShortcut
from trainables.attacks import ATTACKS
from trainables.attacks.plan import AttackPlan
from trainables.datasets.base import Images
from trainables.defenses import DEFENSES
from trainables.defenses.base import Defense
from trainables.defenses.rule import Batch, Training
from trainables.errors import ConfigError
from trainables.nn.inference import inference_copy
from trainables.runtime.run import Run
from trainables.training.batches import by_identity
from trainables.training.classifier import Target, build_classifier, train_classifier
from trainables.training.freeze import freeze, training_mode

LABELS = torch.arange(4).repeat_interleave(4)

every_defense = pytest.mark.parametrize("kind", sorted(DEFENSES))
every_point = pytest.mark.parametrize("point", ["none", "first", "middle", "last"])


def network_for(defense: Defense) -> Classifier:
    """Return the first small network that takes the defense, as it prepares it."""
    for architecture in ("small_cnn", "small_resnet"):
        try:
            defense.check(ARCHITECTURES[architecture], 32)
        except ConfigError:
            continue
        return defense.prepare(build_classifier(architecture, 4, 32, "none", seed=0))
    raise AssertionError(f"no small network takes {defense.kind}")


def name_of(point: str, classifier: Classifier) -> str:
    """Return the freeze point of the classifier that `point` means."""
    stages = list(classifier.stages)
    return {"first": stages[0], "middle": stages[len(stages) // 2], "last": stages[-1]}.get(point, point)


def without_effect(classifier: Classifier) -> set[int]:
    """Return the weights behind a removed skip, which are there and have no gradient."""
    removed = [m for m in classifier.modules() if isinstance(m, ScaledShortcut) and m.factor == 0]
    return {id(weight) for module in removed for weight in module.parameters()}


def loss_of(defense: Defense, point: str) -> tuple[torch.Tensor, torch.nn.Module, int, dict]:
    """Return the loss of one batch of a small classifier frozen at `point`, the classifier, and the trace."""
    classifier = network_for(defense)
    frozen = freeze(classifier, name_of(point, classifier))
    images = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        inputs = classifier.run(images, 0, frozen) if frozen else images
    trace = {}
    logits = classifier(inputs, frozen, trace)
    return defense.loss(logits, LABELS, images, trace), classifier, frozen, trace


@every_defense
def test_class_says_what_it_is(kind):
    defense = DEFENSES[kind]
    assert defense.kind == kind
    assert defense.summary
    assert "\n" not in defense.summary
    assert defense.source


@every_defense
def test_names_its_adaptive_attacker_and_the_attacks_that_are_one(kind):
    defense = DEFENSES[kind]
    assert defense.adaptive and not defense.adaptive.endswith(".")
    assert "\n" not in defense.adaptive
    for part in (defense.adaptive_attack or "").split(","):
        if not part:
            continue
        name, knob, relation, _ = PATTERN.fullmatch(part.strip()).groups()
        classes = list(ATTACKS.values()) if name == "*" else [ATTACKS[name]]
        names = {field.name for known in (*classes, AttackPlan) for field in dataclasses.fields(known)}
        assert knob is None or (knob in names and relation)


@every_defense
def test_an_adapted_form_is_a_copy_that_a_knob_of_any_attack_takes(kind):
    """Its answers are the same beside other images and in lean copies, and the target stays as it is."""
    defense, images = DEFENSES[kind](), torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    classifier = network_for(defense).eval()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    stored = {"triggers": torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))}
    adapted = defense.adapted(classifier, stored)
    assert (
        defense.adapts == (adapted is not classifier) == ("* adaptive=true" in f"{defense.adaptive_attack}")
    )
    drawn = torch.randn(6, adapted.noise_size, generator=torch.Generator().manual_seed(2))
    outputs = []
    for network, size in ((adapted, 6), (inference_copy(adapted, "cpu"), 6), (adapted, 1)):
        parts = []
        for part, noise in zip(images.split(size), drawn.split(size), strict=True):
            with head_noise(network, noise):
                parts.append(network(part))
                features = network.features(part)
            with head_noise(network, noise):
                assert torch.allclose(network.head(features), parts[-1], atol=1e-4)
        outputs.append(torch.cat(parts))
    assert all(torch.allclose(output, outputs[0], atol=1e-4) for output in outputs)
    leaf = images.clone().requires_grad_()
    with head_noise(adapted, drawn):
        (slope,) = torch.autograd.grad(adapted(leaf)[:, 1].sum(), leaf)
    assert torch.isfinite(slope).all() and slope.flatten(1).any(1).all()
    if adapted is not classifier:
        with torch.no_grad():
            for weight in adapted.parameters():
                weight.zero_()
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())


@every_defense
def test_knobs_are_frozen_with_defaults(kind):
    defense = DEFENSES[kind]()
    assert dataclasses.is_dataclass(defense)
    with pytest.raises(dataclasses.FrozenInstanceError):
        defense.anything = 1
    again = DEFENSES[kind](**{f.name: getattr(defense, f.name) for f in dataclasses.fields(defense)})
    assert again == defense


@every_defense
@every_point
def test_loss_is_finite_and_reaches_all_that_is_trained(kind, point):
    loss, classifier, frozen, _ = loss_of(DEFENSES[kind](), point)
    assert loss.shape == ()
    assert torch.isfinite(loss)
    loss.backward()
    silent = without_effect(classifier)
    for number, stage in enumerate(classifier.stages.values()):
        for weight in stage.parameters():
            assert (weight.grad is not None) == (number >= frozen)
            assert weight.grad is None or torch.isfinite(weight.grad).all()
            assert weight.grad is None or weight.grad.any() or id(weight) in silent
    assert all(weight.grad.any() for weight in classifier.head.parameters())


@every_defense
@every_point
def test_hooks_of_frozen_stages_are_left_out(kind, point):
    _, classifier, frozen, trace = loss_of(DEFENSES[kind](), point)
    trained = [*list(classifier.stages)[frozen:], "neck"]
    assert [name for name in trace if name in classifier.hooks] == [
        hook for hook in classifier.hooks if hook in trained
    ]


@every_defense
def test_classifier_still_gives_logits_and_features(kind):
    classifier = network_for(DEFENSES[kind]()).eval()
    images = torch.rand(3, 3, 32, 32)
    assert classifier(images).shape == (3, 4)
    layer = next(module for module in classifier.head.modules() if isinstance(module, nn.Linear))
    assert classifier.features(images).shape == (3, layer.in_features)


@every_defense
def test_same_seed_same_weights(kind):
    first, second = (network_for(DEFENSES[kind]()).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_defense
def test_weights_of_the_stages_keep_their_names(kind):
    """Pre-trained weights are loaded after the defense has prepared the network."""
    prepared = network_for(DEFENSES[kind]())
    plain = next(
        network
        for name in ("small_cnn", "small_resnet")
        if list((network := build_classifier(name, 4, 32, "none", seed=0)).stages) == list(prepared.stages)
    )
    prepared.stages.load_state_dict(plain.stages.state_dict())


@every_defense
def test_its_trained_weights_give_the_same_logits_in_a_fresh_network(kind):
    """Released targets and stages are weights alone; the lean copies of attacks compute the same."""
    classifier, defense = network_for(DEFENSES[kind]()), DEFENSES[kind]()
    rule_steps(defense, classifier, epochs=1)
    again = network_for(defense)
    again.load_state_dict(classifier.state_dict())
    images = torch.rand(3, 3, 32, 32)
    outputs = []
    for network in (classifier.eval(), again.eval(), inference_copy(again, "cpu")):
        with head_noise(network, torch.zeros(3, network.noise_size)):
            outputs.append(network(images))
    assert torch.equal(*outputs[:2])
    assert torch.allclose(outputs[0], outputs[2], atol=1e-4)


@every_defense
@pytest.mark.parametrize("point", ["first", "middle", "last"])
def test_a_frozen_combination_trains_and_leaves_what_is_frozen(kind, point):
    defense = DEFENSES[kind]()
    classifier = network_for(defense)
    name = name_of(point, classifier)
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    losses = rule_steps(defense, classifier, epochs=2, point=name)
    assert all(torch.isfinite(loss) for loss in losses)
    frozen = list(classifier.stages)[: list(classifier.stages).index(name) + 1]
    for key, value in classifier.state_dict().items():
        if key.endswith(".grouped"):  # DP-SGD's mark of a norm that trains in groups: no statistic, no weight
            continue
        if key.startswith(tuple(f"stages.{stage}." for stage in frozen)):
            assert torch.equal(value, before[key]), key
    assert any(not torch.equal(value, before[key]) for key, value in classifier.state_dict().items())


def rule_steps(
    defense: Defense, classifier: Classifier, epochs: int, point: str = "none", *, blind: bool = False
) -> list[torch.Tensor]:
    """Return the losses of a step in each of the epochs and of what the defense adds to them."""
    frozen = freeze(classifier, point)
    weights = [weight for weight in classifier.parameters() if weight.requires_grad]
    images = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    data = Images(
        pixels=(255 * images).to(torch.uint8), labels=LABELS, names=tuple("abcd"), files=tuple("x" * 16)
    )
    optimizer = torch.optim.SGD(weights, lr=0.01)
    rule = defense.begin(
        Training(
            classifier=classifier, optimizer=optimizer, frozen=frozen, epochs=epochs, images=data, seed=0
        )
    )
    losses = []
    for epoch in range(1, epochs + defense.extra_epochs + 1):
        training_mode(classifier, list(classifier.stages)[:frozen], "eval")
        with torch.no_grad():
            inputs = classifier.run(images, 0, frozen) if frozen else images
        shown = images[:0] if blind and not rule.reads_images else images
        batch = Batch(index=torch.arange(16), images=shown, labels=LABELS, inputs=inputs)
        losses.append(rule.step(batch, epoch)[0])
    return losses


@every_defense
def test_batches_it_asks_for_exist(kind):
    wanted = DEFENSES[kind]().images_per_identity
    if wanted is not None:
        (batch,) = by_identity(LABELS, 16, wanted, torch.Generator().manual_seed(0))
        assert LABELS[batch].bincount().tolist() == [wanted] * (16 // wanted)


@every_defense
def test_its_last_epoch_may_be_chosen(kind):
    """Else a training could end without weights."""
    classifier = network_for(DEFENSES[kind]())
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.1)
    pixels = torch.zeros(16, 3, 32, 32, dtype=torch.uint8)
    images = Images(pixels=pixels, labels=LABELS, names=tuple("abcd"), files=tuple("x" * 16))
    training = Training(classifier=classifier, optimizer=optimizer, frozen=0, epochs=3, images=images, seed=0)
    defense = DEFENSES[kind]()
    rule, last = defense.begin(training), 3 + defense.extra_epochs
    assert rule.may_be_chosen(last)
    for epoch in range(1, last + 1):
        assert rule.may_be_chosen(epoch) == defense.finished(epoch, 3)


@every_defense
def test_frozen_statistics_follow_each_step_once(kind):
    """Frozen batch norm in train mode sees what the step shows it and nothing else."""
    defense = DEFENSES[kind]()
    classifier = network_for(defense)
    if not any(isinstance(module, nn.BatchNorm2d) for module in classifier.modules()):
        return  # DP-SGD has none
    stage = next(iter(classifier.stages))
    recipe = Target(
        architecture="small_cnn",
        epochs=2,
        batch_size=8,
        freeze_point=stage,
        frozen_batchnorm="train",
        augmentation="none",
    )
    pixels = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)
    images = Images(pixels=pixels, labels=LABELS, names=tuple("abcd"), files=tuple("x" * 16))
    train_classifier(classifier, recipe, defense, images, images, run=Run(seed=0), kept_epoch=1)
    norms = [m for m in classifier.stages[stage].modules() if isinstance(m, nn.BatchNorm2d)]
    assert {int(norm.num_batches_tracked) for norm in norms} == {2}  # steps of the epoch


@every_defense
def test_has_a_branch_of_the_search_space_with_knobs_of_its_own(kind):
    branch = BRANCHES[kind]
    assert branch.fixed["defense.kind"] == kind
    knobs = {f"defense.{field.name}" for field in dataclasses.fields(DEFENSES[kind])}
    assert {*branch.fixed, *branch.space} <= knobs | {"defense.kind"}


@every_defense
def test_a_defense_that_says_so_reads_no_images(kind):
    defense = DEFENSES[kind]()
    if defense.reads_images:
        pytest.skip("reads images")
    for epochs in (1, 2):
        classifier = network_for(defense)
        point = name_of("first", classifier)
        torch.manual_seed(0)  # of a head that draws noise
        first = rule_steps(defense, copy.deepcopy(classifier), epochs, point)
        torch.manual_seed(0)
        assert rule_steps(defense, classifier, epochs, point, blind=True) == first
