"""The linear probe against ridge regression worked out image by image; features below both kinds of neck."""

import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.pretraining.linear_probe import PENALTIES, frozen_features, linear_probe
from trainables.training.classifier import build_classifier


def clusters(count, features, seed, spread=1.0, scale=None):
    """Return features (4 count, F) of four people around centres of their own, and labels."""
    draw = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(4, features, generator=torch.Generator().manual_seed(99))
    labels = torch.arange(4).repeat(count)
    points = centres[labels] + spread * torch.randn(len(labels), features, generator=draw)
    return points if scale is None else points * scale, labels


def solved(x, wanted, penalty):
    """Return weights and constant of ridge regression whose constant is free, from its normal equations."""
    mean, centre = x.mean(0), wanted.mean(0)
    gram = (x - mean).T @ (x - mean) + penalty * torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(gram, (x - mean).T @ (wanted - centre))
    return weights, centre - mean @ weights


@pytest.mark.parametrize("features", [3, 40], ids=["more images than features", "fewer"])
def test_the_answers_are_those_of_ridge_regression_chosen_by_leaving_each_image_out(features):
    """The truth solves the normal equations again without each image in turn."""
    x, labels = clusters(6, features, seed=0, spread=4.0)
    others, _ = clusters(15, features, seed=1, spread=4.0)
    standard = (x.double() - x.double().mean(0)) / x.double().std(0, correction=0)
    wanted = torch.eye(4, dtype=torch.float64)[labels]
    values = torch.linalg.eigvalsh(standard.T @ standard)
    mean = values[values > 1e-8].mean()
    right = {}
    for share in PENALTIES:
        right[share] = 0
        for left in range(len(x)):
            rest = torch.arange(len(x)) != left
            # The constant of the others is their own mean; the scale stays that of all.
            weights, constant = solved(standard[rest], wanted[rest], share * mean)
            right[share] += int((standard[left] @ weights + constant).argmax() == labels[left])
    best = max(share for share in PENALTIES if right[share] == max(right.values()))
    assert len(set(right.values())) > 1  # else any would do
    weights, constant = solved(standard, wanted, best * mean)
    seen = (others.double() - x.double().mean(0)) / x.double().std(0, correction=0)
    (found,) = linear_probe(x, labels, [others])
    assert found.equal((seen @ weights + constant).argmax(1))


def test_people_that_a_plane_parts_are_named_whatever_the_scale_of_a_feature():
    scale = torch.logspace(-3, 3, 10)
    x, labels = clusters(10, 10, seed=0, spread=0.2, scale=scale)
    others = [clusters(count, 10, seed=count, spread=0.2, scale=scale) for count in (3, 5)]
    found = linear_probe(x, labels, [points for points, _ in others])
    assert [named.tolist() for named in found] == [truth.tolist() for _, truth in others]


def test_features_that_say_nothing_name_the_person_with_the_most_images():
    labels = torch.tensor([0, 1, 1, 2])
    assert linear_probe(torch.ones(4, 5), labels, [torch.ones(2, 5)])[0].tolist() == [1, 1]


def test_a_neck_without_weights_gives_what_the_head_sees():
    classifier = build_classifier("small_cnn", 3, 32, "half", 0).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert frozen_features(classifier, images).equal(classifier.features(images))


@pytest.mark.parametrize("tokens", [False, True])
def test_a_neck_that_has_to_learn_is_left_out(tokens):
    """A map of 4 x 4 positions is averaged to 2 x 2, tokens to one."""
    stage = nn.Flatten(2) if tokens else nn.Identity()
    neck = nn.Sequential(nn.Flatten(), nn.Linear(48, 7))
    classifier = Classifier({"only": stage}, neck, nn.Linear(7, 3))
    images = torch.rand(2, 3, 4, 4)
    truth = images.flatten(2).mean(1) if tokens else images.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    torch.testing.assert_close(frozen_features(classifier, images), truth.flatten(1))
