"""Targets that know whom they saw, and targets that do not."""

import dataclasses

import pytest
import torch
import toy_networks as toys
from torch import nn

from trainables.analyses import membership
from trainables.analyses.base import TrainingSubject
from trainables.analyses.member_scores import only
from trainables.analyses.membership import Membership
from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.defenses.none import NoDefense
from trainables.errors import ConfigError
from trainables.training.classifier import Target

PEOPLE = 6


def pictures(each: int) -> Images:
    """Return `each` pictures of every person, whose first pixel is the person."""
    labels = torch.arange(PEOPLE).repeat_interleave(each)
    pixels = labels.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()
    names = tuple(f"person {label}" for label in range(PEOPLE))
    return Images(pixels=pixels, labels=labels, names=names, files=tuple(map(str, range(len(labels)))))


class Knowing(nn.Module):
    """Sure of the people whom it saw by `leak`, and of every person by their own number."""

    head = nn.Identity()

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes, self.leak, self.seen = classes, 0.0, torch.tensor([])

    def forward(self, images):
        people = (images[:, 0, 0, 0] * 255).round().long()
        sure = people + self.leak * torch.isin(people, self.seen)
        return nn.functional.one_hot(people % self.classes, self.classes) * sure.unsqueeze(1).float()


def learn(leak, seen):
    def train(classifier, recipe, defense, train, validation, *, run):
        shown = set(train.pixels[:, 0, 0, 0].tolist())
        assert shown == set(validation.pixels[:, 0, 0, 0].tolist())
        assert sorted(train.labels.unique().tolist()) == list(range(classifier.classes))
        seen.append(shown)
        classifier.leak, classifier.seen = leak, torch.tensor(sorted(shown))

    return train


def subject():
    part = pictures(2)
    return TrainingSubject(
        recipe=Target(architecture="small_cnn", epochs=1),
        defense=NoDefense(),
        private=Split(train=part, validation=part, test=part),
        begin=lambda classes, defense, freeze_point: Knowing(classes),
    )


@pytest.mark.parametrize(("leak", "auc_of"), [(0.5, 1.0), (0.0, 0.5)])
def test_a_leak_is_found_under_faces_that_are_easy_for_all(monkeypatch, leak, auc_of):
    """People differ in how sure any target is of them: the plain score tells little, the calibrated all."""
    seen = []
    monkeypatch.setattr(membership, "train_classifier", learn(leak, seen))
    figures = Membership(targets=4).measure(subject())
    assert len(seen) == 4 and all(len(people) == PEOPLE // 2 for people in seen)
    assert seen[0] | seen[1] == seen[2] | seen[3] == set(range(PEOPLE))
    assert figures["auc"] == pytest.approx(auc_of)
    assert figures["auc_interval"][0] <= figures["auc"] <= figures["auc_interval"][1]
    assert figures["detected"] == pytest.approx(1.0 if leak else 0.0)
    assert figures["auc_uncalibrated"] < 0.7  # the people's own numbers are wider apart than the leak
    assert (figures["people"], figures["targets"]) == (PEOPLE, 4)


def test_mistakes_are_named():
    for number in (2, 5):
        with pytest.raises(ValueError, match="targets"):
            Membership(targets=number)
    few = toys.parts()
    small = TrainingSubject(
        recipe=Target(architecture="small_cnn"),
        defense=NoDefense(),
        private=Split(
            **{
                name: only(getattr(few, name), torch.arange(few.train.classes) < 3)
                for name in ("train", "validation", "test")
            }
        ),
        begin=lambda *_: None,
    )
    with pytest.raises(ConfigError, match="at least 4 private people, got 3"):
        Membership().measure(small)


def test_a_person_without_a_test_image_is_one_error():
    part = pictures(2)
    some = part.select((part.labels > 0).nonzero().flatten())
    whole = subject()
    lacking = dataclasses.replace(whole, private=Split(train=part, validation=part, test=some))
    with pytest.raises(
        ConfigError, match="'membership' expects a private test image of every person, got none of 1 of 6"
    ):
        Membership(targets=4).measure(lacking)
