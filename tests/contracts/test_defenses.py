"""What every defense must do. A new one in the registry is tested by being there."""

import dataclasses

import pytest
import torch

from search_spaces.defenses import BRANCHES
from trainables.datasets.base import Images
from trainables.defenses import DEFENSES
from trainables.defenses.base import Defense
from trainables.defenses.rule import Training
from trainables.training.batches import by_identity
from trainables.training.classifier import build_classifier
from trainables.training.freeze import freeze

LABELS = torch.arange(4).repeat_interleave(4)

every_defense = pytest.mark.parametrize("kind", sorted(DEFENSES))
every_point = pytest.mark.parametrize("point", ["none", "conv1", "conv3", "conv6"])


def loss_of(defense: Defense, point: str) -> tuple[torch.Tensor, torch.nn.Module, int, dict]:
    """Return the loss of one batch of a small classifier frozen at `point`, the classifier, and the trace."""
    classifier = defense.prepare(build_classifier("small_cnn", 4, 32, "none", seed=0))
    frozen = freeze(classifier, point)
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
    for number, stage in enumerate(classifier.stages.values()):
        for weight in stage.parameters():
            assert (weight.grad is not None) == (number >= frozen)
            assert weight.grad is None or (torch.isfinite(weight.grad).all() and weight.grad.any())
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
    classifier = DEFENSES[kind]().prepare(build_classifier("small_cnn", 4, 32, "none", seed=0)).eval()
    images = torch.rand(3, 3, 32, 32)
    assert classifier(images).shape == (3, 4)
    assert classifier.features(images).shape == (3, 128)


@every_defense
def test_same_seed_same_weights(kind):
    first, second = (
        DEFENSES[kind]().prepare(build_classifier("small_cnn", 4, 32, "none", seed=3)).state_dict()
        for _ in range(2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_defense
def test_batches_it_asks_for_exist(kind):
    wanted = DEFENSES[kind]().images_per_identity
    if wanted is not None:
        (batch,) = by_identity(LABELS, 16, wanted, torch.Generator().manual_seed(0))
        assert LABELS[batch].bincount().tolist() == [wanted] * (16 // wanted)


@every_defense
def test_its_last_epoch_may_be_chosen(kind):
    """Else a training could end without weights."""
    classifier = DEFENSES[kind]().prepare(build_classifier("small_cnn", 4, 32, "none", seed=0))
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.1)
    pixels = torch.zeros(16, 3, 32, 32, dtype=torch.uint8)
    images = Images(pixels=pixels, labels=LABELS, names=tuple("abcd"), files=tuple("x" * 16))
    training = Training(classifier=classifier, optimizer=optimizer, frozen=0, epochs=3, images=images, seed=0)
    assert DEFENSES[kind]().begin(training).may_be_chosen(3 + DEFENSES[kind]().extra_epochs)


@every_defense
def test_has_a_branch_of_the_search_space_with_knobs_of_its_own(kind):
    branch = BRANCHES[kind]
    assert branch.fixed["defense.kind"] == kind
    knobs = {f"defense.{field.name}" for field in dataclasses.fields(DEFENSES[kind])}
    assert {*branch.fixed, *branch.space} <= knobs | {"defense.kind"}
