"""Judge and target read what they say off a picture's corner, so the truth is known for every picture."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from trainables.analyses.base import Subject
from trainables.analyses.evaluator_confidence import EvaluatorConfidence
from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.errors import ConfigError
from trainables.judges.base import JudgeModel
from trainables.metrics.attack_accuracy import interval95

CLASSES = 4
JUDGE, TARGET, SURE = (0, 0, 0), (1, 0, 0), (2, 0, 0)  # channel, row, column: whom each sees, and how surely


def picture(judge: int, target: int, sure: int) -> torch.Tensor:
    """Return a picture that shows `judge` to the judge, and `target` to the target with logit `sure`."""
    pixels = torch.zeros(3, 2, 2, dtype=torch.uint8)
    pixels[JUDGE], pixels[TARGET], pixels[SURE] = judge, target, sure
    return pixels


def channel(images: torch.Tensor, place: tuple[int, int, int]) -> torch.Tensor:
    return (images[:, *place] * 255).round().long()


def judge_logits(images: torch.Tensor) -> torch.Tensor:
    return 2.0 * nn.functional.one_hot(channel(images, JUDGE), CLASSES)


class Seer(nn.Module):
    head = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = nn.functional.one_hot(channel(images, TARGET), CLASSES).float()
        return logits * channel(images, SURE).unsqueeze(1)


def images(*shown: tuple[int, int, int, int]) -> Images:
    """Return labelled pictures: (label, judge, target, sure) each."""
    pixels = torch.stack([picture(*rest) for _, *rest in shown])
    names = tuple(f"person {label}" for label in range(CLASSES))
    labels = torch.tensor([label for label, *_ in shown])
    return Images(pixels=pixels, labels=labels, names=names, files=tuple(map(str, range(len(shown)))))


RECONSTRUCTIONS = [  # of the identities 2 and 0, in two restarts
    [(2, 2, 9), (1, 0, 9)],  # both are right; the target alone is
    [(3, 2, 9), (1, 0, 1)],  # the target alone is; neither is, for the target is not sure
]
TEST = images((0, 0, 0, 9), (1, 3, 1, 9), (2, 2, 2, 9), (2, 1, 2, 9), (2, 2, 2, 1), (3, 0, 0, 9))


@pytest.fixture
def subject() -> Subject:
    return Subject(
        target=Seer(),
        judge=JudgeModel(logits=judge_logits, features=judge_logits, test_accuracy=1.0),
        private=Split(train=TEST, validation=TEST, test=TEST),
        reconstructions=torch.stack([torch.stack([picture(*one) for one in row]) for row in RECONSTRUCTIONS]),
        identities=torch.tensor([2, 0]),
    )


def test_figures_are_what_the_pictures_show(subject):
    figures = EvaluatorConfidence().measure(subject)
    right, wrong = (torch.tensor([2.0, 0, 0, 0]).softmax(0)[k].item() for k in (0, 1))
    assert figures["judge_confidence"] == pytest.approx((right + 3 * wrong) / 4)
    # identity 0 has one picture, identity 2 three: each identity weighs the same
    assert figures["judge_confidence_private"] == pytest.approx((right + (2 * right + wrong) / 3) / 2)
    assert figures["chance"] == 1 / CLASSES
    assert (figures["sure"], figures["sure_count"]) == (0.75, 3)
    assert (figures["sure_unrecognised"], figures["sure_unrecognised_count"]) == (0.5, 2)
    rates = torch.tensor([0.5, 0.5])
    assert figures["sure_unrecognised_interval"] == pytest.approx(interval95(rates, 2))
    assert figures["sure_interval"] == pytest.approx(interval95(torch.tensor([1.0, 0.5]), 2))
    assert figures["sure_unrecognised_private"] == pytest.approx((0 + 1 / 3) / 2)
    assert figures["sure_unrecognised_private_count"] == 1
    assert figures["sure_unrecognised_private_interval"] == pytest.approx(
        interval95(torch.tensor([1 / 3, 0]), 1)
    )
    counts = ("identities", "restarts", "reconstructions", "private_images")
    assert [figures[name] for name in counts] == [2, 2, 4, 4]
    assert figures["threshold"] == 0.9


def test_the_threshold_says_when_the_target_is_sure(subject):
    barely = torch.tensor([1.0, 0, 0, 0]).softmax(0)[0].item()  # of the picture with logit 1
    for threshold, sure in ((barely - 0.01, 4), (barely + 0.01, 3)):
        assert EvaluatorConfidence(threshold=threshold).measure(subject)["sure_count"] == sure
    with pytest.raises(ValueError, match="threshold must lie between 0 and 1; got 1"):
        EvaluatorConfidence(threshold=1)


def test_an_identity_without_a_private_test_image_is_named(subject):
    lacking = TEST.select(torch.tensor([1, 2]))
    with pytest.raises(ConfigError, match=r"got none of labels \[0\]"):
        EvaluatorConfidence().measure(replace(subject, private=replace(subject.private, test=lacking)))
