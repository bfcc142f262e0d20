"""Membership of people: whether a target tells who was in its training set, from pictures it never saw."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainables.analyses.base import TrainingAnalysis, TrainingSubject
from trainables.analyses.member_scores import auc, auc_interval, calibrate, check_tested, halves, only
from trainables.architectures.head_noise import head_noise
from trainables.judges.base import outputs
from trainables.runtime.checks import at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive, stream
from trainables.training.classifier import train_classifier

FALSE_ALARMS = 0.1  # the rate at which detections are counted


@dataclass(frozen=True, kw_only=True)
class Membership(TrainingAnalysis):
    """Trains targets with and without each person, and asks held-out pictures of everyone who was in.

    targets: an even number, at least 4: people are halved, and each half and its complement train one
    target, so that every person is in half of all.

    The score of a person under a target is the mean over that person's private test images, which no
    training saw, of the logit log(p / (1 - p)) of the largest softmax p: a target is surer of those whom it
    knows. Some faces are easy for any target, so the score is calibrated: less the mean score of the same
    person under other targets that were trained without that person (as the offline attack of Carlini et
    al., "Membership Inference Attacks From First Principles", IEEE S&P 2022, calibrates images; for people in
    place of images, as Li et al., "User-Level Membership Inference Attack against Metric Embedding Learning",
    2022, and with a difference in place of their likelihood ratio).

    What it says: a leak of a way of training (recipe, freeze point, defense) that needs no image, where
    inversion finds nothing. What it cannot say: how far the trial's own target leaks, for these are others,
    trained on half of the people; nor that a low figure is safe: a stronger score may find more. The networks
    themselves are asked: what a defense puts before the answers of its target is not in the way.
    """

    kind = "membership"
    version = 2  # members are calibrated by as many targets as others
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
        target; 0.5 is chance. auc_interval: 95 % over people (`auc_interval`). auc_uncalibrated: of the
        plain scores. detected: share of members above the level that a tenth of non-members exceed.
        Raises `ConfigError` with fewer than four people, and for people without a test image.
        """
        people = subject.private.train.classes
        check_tested(self.kind, subject.private.test)
        member = halves(self.kind, self.targets, people, subject.seed)
        scores = torch.stack([self._scores(subject, number, row) for number, row in enumerate(member)])
        calibrated = calibrate(scores, member)
        level = calibrated[~member].quantile(1 - FALSE_ALARMS)
        return {
            "auc": auc(calibrated, member),
            "auc_interval": list(auc_interval(self.kind, calibrated, member, subject.seed)),
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
