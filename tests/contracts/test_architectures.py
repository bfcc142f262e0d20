"""What every architecture must do. A new one in the registry is tested by being there."""

import itertools

import pytest
import torch
from architecture_costs import HEAVY, SIBLINGS, each, fits, smallest_size
from torch import Tensor, nn

from trainables.architectures import ARCHITECTURES, freeze_points, get_architecture
from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.defenses.none import NoDefense
from trainables.defenses.rule import Batch, Training
from trainables.errors import ConfigError
from trainables.training.classifier import Target, make_optimizer
from trainables.training.freeze import count_parameters, freeze, training_mode

every_architecture = pytest.mark.parametrize("name", each())
affordable = pytest.mark.parametrize("name", each(SIBLINGS))
light = pytest.mark.parametrize("name", each(SIBLINGS, HEAVY))


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_its_name_is_that_of_the_registry(name):
    assert ARCHITECTURES[name].kind == name


def on_meta(name: str, classes: int = 4, size: int | None = None) -> Classifier:
    with torch.device("meta"):
        return get_architecture(name).build(classes, size or smallest_size(name))


def few_points(classifier: Classifier) -> list[str]:
    """Return the first, a middle and the last freeze point."""
    stages = list(classifier.stages)
    return [stages[0], stages[len(stages) // 2], stages[-1]]


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def is_statistic(key: str) -> bool:
    return key.endswith(("running_mean", "running_var", "num_batches_tracked"))


def trained(name: str, point: str, batchnorm: str) -> tuple[Classifier, int, dict[str, Tensor]]:
    """Return a classifier after two steps, the number of its frozen stages, and its state before."""
    torch.manual_seed(0)
    size = smallest_size(name)
    classifier = get_architecture(name).build(4, size)
    frozen = freeze(classifier, point, batchnorm)
    before = state(classifier)
    optimizer = make_optimizer(classifier, Target(architecture=name, learning_rate=0.1))
    labels = torch.tensor([0, 1, 2, 3])
    pixels = torch.zeros(4, 3, size, size, dtype=torch.uint8)
    data = Images(pixels=pixels, labels=labels, names=tuple("abcd"), files=tuple("abcd"))
    training = Training(
        classifier=classifier, optimizer=optimizer, frozen=frozen, epochs=1, images=data, seed=0
    )
    rule = NoDefense().begin(training)
    for _ in range(2):
        training_mode(classifier, list(classifier.stages)[:frozen], batchnorm)
        images = torch.rand(4, 3, size, size)
        with torch.no_grad():
            inputs = classifier.run(images, 0, frozen) if frozen else images
        rule.step(Batch(index=labels, images=images, labels=labels, inputs=inputs), 1)
    return classifier, frozen, before


@every_architecture
def test_entry_says_what_it_is(name):
    entry = get_architecture(name)
    assert entry.summary
    assert "\n" not in entry.summary
    assert entry.source
    assert entry.torchvision_weights is None or entry.torchvision_key is not None


def sized() -> list:
    """Return (name, size) of each architecture; of those that take seconds to build only two sizes."""
    return [
        pytest.param(*param.values, size, marks=param.marks)
        for param in each()
        for size in ((64, 112) if param.values[0] in SIBLINGS | HEAVY else (32, 48, 64))
    ]


@pytest.mark.parametrize(("name", "size"), sized())
def test_shapes_fit_at_any_size_that_it_takes(name, size):
    if not fits(name, size):
        with pytest.raises(ConfigError, match=f"got {size}|{size} pixels"):
            get_architecture(name).check_size(size)
        return
    classifier, trace = on_meta(name, 5, size).eval(), {}
    with torch.no_grad(), torch.device("meta"):
        logits = classifier(torch.zeros(2, 3, size, size), trace=trace)
        features = classifier.features(torch.zeros(2, 3, size, size))
    assert logits.shape == (2, 5)
    assert features.shape == (2, classifier.head.in_features)
    assert list(trace) == list(classifier.hooks)


@affordable
def test_the_stages_in_two_goes_give_the_logits(name):
    size = smallest_size(name)
    classifier = get_architecture(name).build(5, size).eval()
    images, middle = torch.rand(2, 3, size, size), len(classifier.stages) // 2
    with torch.no_grad():
        logits = classifier(images)
        resumed = classifier(classifier.run(images, 0, middle), middle)
        assert torch.allclose(classifier.head(classifier.features(images)), logits, atol=1e-5)
    assert torch.allclose(resumed, logits, atol=1e-5)


@every_architecture
def test_freeze_points_are_ordered_and_none_freezes_nothing(name):
    classifier = on_meta(name)
    assert classifier.freeze_points == freeze_points(name)
    assert classifier.freeze_points[0] == "none"
    counts = []
    for number, point in enumerate(classifier.freeze_points):
        assert freeze(classifier, point) == number
        counts.append(count_parameters(classifier))
    assert counts[0].trained == counts[0].total
    assert all(later.trained < earlier.trained for earlier, later in itertools.pairwise(counts))
    assert counts[-1].trained > 0
    assert len({count.total for count in counts}) == 1


@light
def test_none_moves_every_weight_that_can_move(name):
    classifier, _, before = trained(name, "none", "eval")
    for key, weight in classifier.named_parameters():
        assert torch.equal(weight, before[key]) != weight.requires_grad, key


def frozen_cases() -> list:
    """Return (name, place, batchnorm) of each architecture; of the heavy ones all but one marked slow."""
    settings = [(1, "eval"), (0, "eval"), (1, "train"), (2, "train")]
    return [
        pytest.param(*param.values, place, batchnorm, marks=[*param.marks, *slow])
        for param in each(SIBLINGS)
        for place, batchnorm in settings
        for slow in [
            [pytest.mark.slow] if param.values[0] in HEAVY and (place, batchnorm) != (1, "eval") else []
        ]
    ]


@pytest.mark.parametrize(("name", "place", "batchnorm"), frozen_cases())
def test_frozen_stays_and_the_rest_moves(name, place, batchnorm):
    point = few_points(on_meta(name))[place]
    classifier, frozen, before = trained(name, point, batchnorm)
    moved = {key for key, value in classifier.state_dict().items() if not torch.equal(value, before[key])}
    prefixes = tuple(f"stages.{stage}." for stage in list(classifier.stages)[:frozen])
    inside = {key for key in before if key.startswith(prefixes)}
    assert not {key for key in moved & inside if not is_statistic(key)}
    statistics = {key for key in inside if is_statistic(key)}
    assert moved & statistics == (statistics if batchnorm == "train" else set())
    held = {key for key, weight in classifier.named_parameters() if not weight.requires_grad}
    fixed = {key for key, _ in classifier.named_buffers() if not is_statistic(key)}  # positions, say
    assert {key for key in before if key not in inside | held | fixed} <= moved
    assert not moved & fixed


@every_architecture
def test_hooks_name_units_in_order_and_end_with_the_feature(name):
    classifier = on_meta(name)
    places = [*classifier.stages, "neck"]
    assert classifier.hooks[-1] == "neck"
    assert [hook for hook in places if hook in classifier.hooks] == list(classifier.hooks)


@light
def test_one_seed_one_network(name):
    def build() -> dict[str, Tensor]:
        torch.manual_seed(7)
        return get_architecture(name).build(3, smallest_size(name)).state_dict()

    first, second = build(), build()
    assert all(torch.equal(first[key], second[key]) for key in first)
