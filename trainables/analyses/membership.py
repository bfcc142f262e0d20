"""Membership of people: whether a target tells who was in its training set, from pictures it never saw."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainables.analyses.base import TrainingAnalysis, TrainingSubject
from trainables.architectures.head_noise import head_noise
from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.judges.base import outputs
from trainables.runtime.checks import at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive, stream
from trainables.training.classifier import train_classifier

LEAST_PEOPLE = 4
FALSE_ALARMS = 0.1  # the rate at which detections are counted
DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Membership(TrainingAnalysis):
    """Trains targets with and without each person, and asks held-out pictures of everyone who was in.

    targets: an even number, at least 4: people are halved, and each half and its complement train one
    target, so that every person is in half of all.

    The score of a person under a target is the mean over that person's private test images, which no
    training saw, of the logit log(p / (1 - p)) of the largest softmax p: a target is surer of those whom it
    knows. Some faces are easy for any target, so the score is calibrated: less the mean score of the same
    person under the other targets that were trained without that person (as the offline attack of Carlini et
    al., "Membership Inference Attacks From First Principles", IEEE S&P 2022, calibrates images; for people in
    place of images, as Li et al., "User-Level Membership Inference Attack against Metric Embedding Learning",
    2022, and with a difference in place of their likelihood ratio).

    What it says: a leak of a way of training (recipe, freeze point, defense) that needs no image, where
    inversion finds nothing. What it cannot say: how far the trial's own target leaks, for these are others,
    trained on half of the people; nor that a low figure is safe: a stronger score may find more. The networks
    themselves are asked: what a defense puts before the answers of its target is not in the way.
    """

    kind = "membership"
    summary = "whether targets tell who was in their training set, from pictures that they never saw"
    source = "this project, after Carlini et al. 2022"
    limits = (
        "how far the trial's own target leaks, for these saw half of the people; a low figure is no proof of "
        "safety"
    )
    columns = ("auc", "auc_uncalibrated", "detected", "people", "targets")

    targets: int = 8

    def __post_init__(self) -> None:
        at_least(self, 4, "targets")
        if self.targets % 2:
            raise ValueError(f"targets must be even; got {self.targets} (targets)")

    def measure(self, subject: TrainingSubject) -> dict[str, Any]:
        """Return how well members are told from others, over all pairs of a target and a person.

        auc: probability in [0, 1] that a member's calibrated score is above a non-member's, each under any
        target; 0.5 is chance. auc_interval: 95 % over people (percentile bootstrap). auc_uncalibrated: of the
        plain scores. detected: share of members above the level that a tenth of non-members exceed.
        Raises `ConfigError` with fewer than four people.
        """
        people = subject.private.train.classes
        if people < LEAST_PEOPLE:
            raise ConfigError(
                f"analysis 'membership' expects at least {LEAST_PEOPLE} private people, got {people} "
                "(private); take more"
            )
        halves = stream(subject.seed, "membership", "halves")
        member = torch.zeros(self.targets, people, dtype=torch.bool)
        for number in range(0, self.targets, 2):
            member[number, torch.randperm(people, generator=halves)[: people // 2]] = True
            member[number + 1] = ~member[number]
        scores = torch.stack([self._scores(subject, number, row) for number, row in enumerate(member)])
        calibrated = calibrate(scores, member)
        level = calibrated[~member].quantile(1 - FALSE_ALARMS)
        return {
            "auc": auc(calibrated, member),
            "auc_interval": list(_interval(calibrated, member, subject.seed)),
            "auc_uncalibrated": auc(scores, member),
            "detected": (calibrated[member] > level).double().mean().item(),
            "people": people,
            "targets": self.targets,
        }

    def _scores(self, subject: TrainingSubject, number: int, member: Tensor) -> Tensor:
        """Return the score of every person (K,) under a target trained on those of `member`, bool (K,)."""
        private, seed = subject.private, derive(subject.seed, "membership", number)
        train, validation = (only(part, member) for part in (private.train, private.validation))
        classifier = subject.begin(train.classes, subject.defense, subject.recipe.freeze_point)
        run = Run(seed=seed, device=subject.device)
        train_classifier(classifier, subject.recipe, subject.defense, train, validation, run=run)
        with head_noise(classifier, stream(seed, "scores")):
            logits = outputs(classifier, private.test.pixels, subject.device).double()
        best = logits.max(1, keepdim=True)
        others = logits.scatter(1, best.indices, -math.inf).logsumexp(1)
        sureness = best.values.squeeze(1) - others  # log(p / (1 - p)) without rounding p to 1
        labels = private.test.labels
        return labels.bincount(sureness, len(member)) / labels.bincount(minlength=len(member))


def only(images: Images, member: Tensor) -> Images:
    """Return the images of the people in `member`, bool (K,), labelled anew from 0 in the same order."""
    part = images.select(member[images.labels].nonzero().flatten())
    place = member.long().cumsum(0) - 1
    names = tuple(name for name, inside in zip(images.names, member.tolist(), strict=True) if inside)
    return dataclasses.replace(part, labels=place[part.labels], names=names)


def calibrate(scores: Tensor, member: Tensor) -> Tensor:
    """Return scores (T, K) less each person's mean under the *other* targets trained without that person.

    member: bool (T, K), each person outside at least two targets.
    """
    outside = (~member).to(scores)
    total, count = (scores * outside).sum(0), outside.sum(0)
    return scores - (total - scores * outside) / (count - outside)


def auc(scores: Tensor, member: Tensor) -> float:
    """Return the probability that a member's score is above a non-member's, ties half; of equal shapes."""
    inside, outside = scores[member], scores[~member].sort().values
    below = torch.searchsorted(outside, inside, right=False)
    upto = torch.searchsorted(outside, inside, right=True)
    return ((below + upto).double() / 2).mean().item() / len(outside)


def _interval(scores: Tensor, member: Tensor, seed: int) -> tuple[float, float]:
    generator = stream(seed, "membership", "bootstrap")
    people = scores.shape[1]
    drawn = torch.randint(people, (DRAWS, people), generator=generator)
    values = torch.tensor([auc(scores[:, row], member[:, row]) for row in drawn], dtype=torch.float64)
    low, high = values.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    centre = auc(scores, member)
    return min(low, centre), max(high, centre)
