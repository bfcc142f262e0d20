"""The threshold of a classifier that names people, against counts."""

import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.defenses.mid import MID
from trainables.operating_point import operating_point, threshold_for
from trainables.training.classifier import build_classifier


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("count", [1, 20, 101])
def test_at_most_the_share_reaches_the_threshold_and_no_lower_one_does(count, share):
    scores = torch.rand(count, generator=torch.Generator().manual_seed(count)) * 0.9
    threshold = threshold_for(scores, share)
    passed = int((scores >= threshold).sum())
    assert passed == int(share * count)
    lower = scores[scores < threshold].max()
    assert int((scores >= lower).sum()) > share * count


def test_equal_scores_are_not_named_in_part():
    assert int((torch.full((10,), 0.5) >= threshold_for(torch.full((10,), 0.5), 0.2)).sum()) == 0


def images(values, labels):
    pixels = torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
    names = tuple(map(str, range(2)))
    return Images(pixels=pixels, labels=torch.tensor(labels), names=names, files=tuple("x" * len(values)))


def test_what_the_threshold_does_is_counted():
    classifier = Classifier({"pool": nn.AvgPool2d(8)}, nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        classifier.head.weight.copy_(torch.tensor([[1.0] * 3, [-1.0] * 3]))
        classifier.head.bias.copy_(torch.tensor([-1.5, 1.5]))
    strangers = images([128] * 38 + [160, 90], [0] * 40)  # two of forty, 5 %, are told apart clearly
    test = images([255, 0, 128, 255], [0, 1, 0, 1])  # clear, clear, unclear, clear and wrong
    point = operating_point(classifier, test, strangers)
    assert point.strangers_named == 0.05 and point.people_named == 0.5
    assert 0.5 < point.score < torch.sigmoid(torch.tensor(2 * (3 * 160 / 255 - 1.5))).item()


def sure(margin):
    """Return a classifier that is the surer the brighter an image: `margin` apart when it is white."""
    classifier = Classifier({"pool": nn.AvgPool2d(8)}, nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        classifier.head.weight.copy_(torch.tensor([[margin / 3] * 3, [0.0] * 3]))
        classifier.head.bias.zero_()
    return classifier


def test_strangers_that_all_score_one_in_float32_are_kept_out():
    """Of a sure classifier; scores of 64 bits tell them apart from its people, who score higher still."""
    strangers = images([180] * 38 + [181, 200], [0] * 40)
    test = images([255, 255], [0, 0])
    score = sure(36.0)(strangers.pixels.float() / 255).softmax(1)
    assert bool((score.max(1).values == 1).all())
    point = operating_point(sure(36.0), test, strangers)
    assert point.strangers_named == 0.05 and point.people_named == 1.0 and point.score <= 1


def test_where_no_score_keeps_strangers_out_nobody_is_named():
    strangers = images([250] * 20, [0] * 20)
    point = operating_point(sure(1000.0), images([255], [0]), strangers)
    assert point.strangers_named == 0 == point.people_named and 1 < point.score < 1 + 1e-9


def test_a_noisy_head_gives_the_same_point_twice():
    classifier = MID(bottleneck=8).prepare(build_classifier("small_cnn", 2, 32, "none", seed=0))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=generator)
    few = Images(pixels=pixels, labels=torch.arange(12) % 2, names=("a", "b"), files=tuple("x" * 12))
    assert operating_point(classifier, few, few) == operating_point(classifier, few, few)
