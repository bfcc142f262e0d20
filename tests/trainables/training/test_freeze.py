"""What a freeze point freezes, counted against the published numbers."""

import pytest
import torch
from torch import nn

from trainables.architectures import ARCHITECTURES
from trainables.architectures.base import Classifier
from trainables.errors import ConfigError
from trainables.training.freeze import (
    check_trained,
    count_parameters,
    freeze,
    frozen_stages,
    training_mode,
)

# last frozen stage of VGG16-BN at 64 pixels, 1000 classes -> trained weights
VGG16 = {
    "none": 16_774_184,
    "conv1_1": 16_772_264,
    "conv1_2": 16_735_208,
    "conv2_1": 16_661_096,
    "conv2_2": 16_513_256,
    "conv3_1": 16_217_576,
    "conv3_2": 15_626_984,
    "conv3_3": 15_036_392,
    "conv4_1": 13_855_208,
    "conv4_2": 11_494_376,
    "conv4_3": 9_133_544,
    "conv5_1": 6_772_712,
    "conv5_2": 4_411_880,
    "conv5_3": 2_051_048,
}


def on_meta(architecture: str, classes: int, size: int) -> Classifier:
    with torch.device("meta"):
        return ARCHITECTURES[architecture].build(classes, size)


def test_vgg16_gives_the_published_counts_at_every_cut():
    classifier = on_meta("vgg16_bn", 1000, 64)
    assert classifier.freeze_points == tuple(VGG16)
    for point, trained in VGG16.items():
        freeze(classifier, point)
        counts = count_parameters(classifier)
        assert (counts.trained, counts.total) == (trained, 16_774_184)
        assert counts.trained - counts.trained_without_head == 2048 * 1000 + 1000
        assert counts.total - counts.total_without_head == 2048 * 1000 + 1000


@pytest.mark.parametrize(
    ("classes", "point", "trained", "total"),
    [
        (1000, "layer3_1", 8_906_728, 11_689_512),
        (530, "layer3_1", 8_665_618, 11_448_402),
        (1000, "none", 11_689_512, 11_689_512),
    ],
)
def test_resnet18_gives_the_published_counts(classes, point, trained, total):
    classifier = on_meta("resnet18", classes, 224)
    freeze(classifier, point)
    counts = count_parameters(classifier)
    assert (counts.trained, counts.total) == (trained, total)


def test_a_shared_weight_counts_once():
    layer = nn.Linear(4, 4)
    shared = Classifier({"a": layer, "b": layer}, nn.Identity(), nn.Linear(4, 2))
    assert count_parameters(shared).total == 4 * 4 + 4 + 4 * 2 + 2


def test_freezing_again_elsewhere_thaws():
    classifier = ARCHITECTURES["small_cnn"].build(3, 32)
    assert freeze(classifier, "conv5") == 5
    assert freeze(classifier, "conv1") == 1
    assert [stage[0].weight.requires_grad for stage in classifier.stages.values()] == [False, *[True] * 5]


def test_the_bias_held_at_zero_is_never_thawed():
    classifier = on_meta("vgg16_bn", 10, 32)
    freeze(classifier, "none")
    assert not classifier.neck[1].bias.requires_grad
    assert classifier.neck[1].weight.requires_grad


def test_unknown_point_names_the_valid_ones():
    classifier = ARCHITECTURES["small_cnn"].build(3, 32)
    with pytest.raises(ConfigError, match=r"none, conv1, .*conv6; got 'conv7'"):
        frozen_stages(classifier, "conv7")


@pytest.mark.parametrize(
    ("trained", "frozen", "prefix"),
    [
        (("conv1", "conv2"), ("conv3", "conv4", "conv5", "conv6"), 0),
        (("conv5", "conv3"), ("conv1", "conv2", "conv4", "conv6"), 2),
        (("conv6",), ("conv1", "conv2", "conv3", "conv4", "conv5"), 5),
        ((), ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6"), 6),
    ],
)
def test_any_stages_may_be_trained_alone(trained, frozen, prefix):
    classifier = ARCHITECTURES["small_cnn"].build(3, 32).eval()
    assert frozen_stages(classifier, "none", trained) == frozen
    assert freeze(classifier, "none", trained=trained) == prefix
    counts = {name: sum(p.numel() for p in stage.parameters()) for name, stage in classifier.stages.items()}
    for name, stage in classifier.stages.items():
        assert {p.requires_grad for p in stage.parameters()} == {name in trained}
        assert stage.training == (name in trained)
    assert classifier.neck.training and classifier.head.training
    assert all(p.requires_grad for p in classifier.head.parameters())
    found = count_parameters(classifier)
    assert found.trained_without_head == sum(counts[name] for name in trained)
    assert found.total_without_head == sum(counts.values())


@pytest.mark.parametrize(
    ("trained", "text"),
    [
        (("conv1", "con2"), r"of conv1, .*conv6; got 'con2'; did you mean 'conv2'\? \(target.trained\)"),
        (("conv1", "conv1"), r"each stage once; got conv1, conv1 \(target.trained\)"),
        (tuple(f"conv{n}" for n in range(1, 7)), r"leave a stage frozen; got all 6 \(target.trained\)"),
    ],
)
def test_trained_stages_must_be_some_of_the_stages(trained, text):
    with pytest.raises(ConfigError, match=text):
        check_trained(trained, list(ARCHITECTURES["small_cnn"].build(3, 32).stages))


@pytest.mark.parametrize("batchnorm", ["eval", "train"])
def test_modes(batchnorm):
    classifier = ARCHITECTURES["small_cnn"].build(3, 32).eval()
    training_mode(classifier, ["conv1", "conv2"], batchnorm)
    modes = [stage.training for stage in classifier.stages.values()]
    assert modes == [batchnorm == "train"] * 2 + [True] * 4
    assert classifier.neck.training
    assert classifier.head.training
