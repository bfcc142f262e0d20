"""Batch norm: whether the running statistics of frozen stages tell who was in a training set."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.analyses.base import TrainingAnalysis, TrainingSubject
from trainables.analyses.member_scores import auc, auc_interval, calibrate, check_tested, halves, only
from trainables.architectures.base import Classifier
from trainables.datasets.base import Images, as_float
from trainables.defenses.base import Defense
from trainables.runtime.checks import at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive, stream
from trainables.training.batches import BatchAugmentation, draw_augmentation
from trainables.training.classifier import Target, batches_of
from trainables.training.freeze import freeze
from trainables.training.frozen_prefix import Prefix

NEGLIGIBLE = 1e-6  # weight that batches may have in running statistics and yet be left out
CROWD = 256  # images of others beside which a person's are looked at, and of a person at most


@dataclass(frozen=True, kw_only=True)
class BatchNorm(TrainingAnalysis):
    """Asks the running statistics of the frozen prefix alone who was in the training set.

    targets: an even number, at least 4: people are halved, and each half and its complement leave the
    statistics of one target, so that every person is in half of all.

    Frozen weights do not move, so the statistics of the stages before the first trained one follow from the
    images and their batches alone. No target is trained: its batches run through these stages, those that
    still count at the end of the last epoch. Under ``target.frozen_batchnorm: train``, TL-DMI's code, the
    statistics move; under "eval" they stay those of pre-training, and the control says so.

    A person's direction is how the person's private test images, which no training saw, move the mean and the
    variance at each batch norm of a batch of others' test images. The score under a target is how far its
    statistics lie in that direction, each over its variance among targets: up to constants the logarithm of
    the likelihood ratio of two normal distributions that differ by the person, statistics taken for
    independent. It is calibrated by the other targets without that person, and in units of its deviation
    among targets (after the offline attack of Carlini et al., "Membership Inference Attacks From First
    Principles", IEEE S&P 2022, which does so for images).

    What it says: a leak that needs neither an image nor an answer of a target, in what was never trained.
    What a low figure does not say: that the statistics are safe. Who takes their correlations into account,
    or has the person's own training images, may find more; and statistics of trained stages, and of those
    frozen after one, are not asked, nor is any weight. It does not say how far the trial's own target leaks:
    twice as many people share its statistics. Images are as the recipe shows them; squares that `midre`
    erases and triggers of `trap_mid` are left out, and so is what is chosen: statistics are those after the
    last epoch.
    """

    kind = "batch_norm"
    version = 2  # as of membership
    summary = "whether the running statistics of frozen batch norm tell who was in the training set"
    source = "this project, after Carlini et al. 2022"
    limits = (
        "that statistics of a low AUC are safe, nor how far the trial's own target leaks, in which twice as "
        "many people share them"
    )
    columns = ("auc", "auc_eval", "statistics", "people", "targets")

    targets: int = 32

    def __post_init__(self) -> None:
        at_least(self, 4, "targets")
        if self.targets % 2:
            raise ValueError(f"targets must be even; got {self.targets} (targets)")

    def measure(self, subject: TrainingSubject) -> dict[str, Any]:
        """Return how well members are told from others, over all pairs of a target and a person.

        auc: probability in [0, 1] that a member's score is above a non-member's, each under any target; 0.5
        is chance. auc_interval: 95 % over people (`auc_interval`). auc_eval: the same with frozen batch
        norm in eval mode, where it is 0.5. statistics: how many differ between targets; with 0 there is
        nothing to tell by, as where no batch norm is frozen. Raises `ConfigError` with fewer than four
        people, and for people without a test image.
        """
        people = subject.private.train.classes
        check_tested(self.kind, subject.private.test)
        member = halves(self.kind, self.targets, people, subject.seed)
        control = replace(subject, recipe=replace(subject.recipe, frozen_batchnorm="eval"))
        scores, differing = person_scores(subject, member)
        return {
            "auc": auc(scores, member),
            "auc_interval": list(auc_interval(self.kind, scores, member, subject.seed)),
            "auc_eval": auc(person_scores(control, member)[0], member),
            "statistics": differing,
            "people": people,
            "targets": self.targets,
        }


def person_scores(subject: TrainingSubject, member: Tensor) -> tuple[Tensor, int]:
    """Return the score of every person under every target, float64 (T, K), and how many statistics differ.

    member: bool (T, K), who is in the training set of each target.
    """
    recipe, private = subject.recipe, subject.private
    classifier = subject.begin(private.train.classes, subject.defense, recipe.freeze_point).to(subject.device)
    frozen = freeze(classifier, recipe.freeze_point, recipe.frozen_batchnorm, recipe.trained)
    norms = batch_norms(list(classifier.stages.values())[:frozen])
    before = [[value.clone() for value in norm.buffers()] for norm in norms]
    rows = []
    for number, row in enumerate(member):
        for norm, values in zip(norms, before, strict=True):
            for buffer, value in zip(norm.buffers(), values, strict=True):
                buffer.copy_(value)
        run = Run(seed=derive(subject.seed, "batch_norm", number), device=subject.device)
        follow(classifier, recipe, subject.defense, only(private.train, row), run)
        rows.append(statistics(norms))
    found = torch.stack(rows)
    moved = found - found[0]  # 0 exactly where nothing moves
    spread = (moved - moved.mean(0)).square().mean(0)
    weight = torch.where(spread > 0, 1 / spread, 0.0)
    toward = directions(classifier, frozen, norms, private.test, subject.seed)
    scores = calibrate((moved * weight) @ toward.T, member)
    deviation = scores.std(0)
    differing = int((moved != 0).any(0).sum())
    return torch.where(deviation > 0, scores / deviation, 0.0), differing


def batch_norms(stages: Sequence[nn.Module]) -> list[_BatchNorm]:
    """Return the batch norms of `stages` that keep running statistics, in order."""
    modules = (module for stage in stages for module in stage.modules())
    return [norm for norm in modules if isinstance(norm, _BatchNorm) and norm.running_mean is not None]


def statistics(norms: Sequence[_BatchNorm]) -> Tensor:
    """Return mean and variance of each of `norms`, one after another, float64 (C,) on the CPU."""
    parts = [
        part for norm in norms for part in (norm.get_buffer("running_mean"), norm.get_buffer("running_var"))
    ]
    return torch.cat([torch.zeros(0), *(part.detach().cpu() for part in parts)]).double()


def follow(classifier: Classifier, recipe: Target, defense: Defense, train: Images, run: Run) -> None:
    """Let the statistics of the frozen prefix follow a training on `train`; nothing else is trained.

    `classifier` starts with those of pre-training. Batches that have a weight below `NEGLIGIBLE` in the end
    are left out; with them, the statistics would be those that `train_classifier` leaves after all epochs.
    """
    frozen = freeze(classifier, recipe.freeze_point, recipe.frozen_batchnorm, recipe.trained)
    norms = batch_norms(list(classifier.stages.values())[:frozen])
    if not norms:
        return
    torch.manual_seed(derive(run.seed, "target", "layers"))  # dropout, where a prefix has it
    pixels = train.pixels.to(run.device)
    prefix = Prefix(classifier, frozen, pixels, keep=0, batchnorm=recipe.frozen_batchnorm)
    for index, views in deque(_shown(recipe, defense, train, run), maxlen=_memory(norms)):
        prefix(index, views)


def _shown(
    recipe: Target, defense: Defense, train: Images, run: Run
) -> Iterator[tuple[Tensor, BatchAugmentation]]:
    """Yield the batches of all epochs as `train_classifier` draws them."""
    order, views = (run.stream("target", name) for name in ("order", "views"))
    for _ in range(recipe.epochs + defense.extra_epochs):
        for index in batches_of(train.labels, recipe, defense, order):
            yield index, draw_augmentation(len(index), train.pixels.shape[-1], recipe.augmentation, views)


def _memory(norms: Sequence[_BatchNorm]) -> int | None:
    """Return how many of the last batches count in the statistics of any of `norms`; None if all do."""
    batches = 0
    for norm in norms:
        if norm.training and norm.momentum is None:  # a plain mean over all batches
            return None
        if norm.training and norm.momentum:
            batches = max(batches, math.ceil(math.log(NEGLIGIBLE) / math.log1p(-min(norm.momentum, 0.999))))
        else:
            batches = max(batches, 1)  # which moves nothing
    return batches


@torch.no_grad()
def directions(
    classifier: Classifier, frozen: int, norms: Sequence[_BatchNorm], images: Images, seed: int
) -> Tensor:
    """Return how much each person's images move the statistics of a batch of others, float64 (K, C).

    images: of all people. Normalised by the batch, as in training: a person moves the means of the first
    layers, and the shape of what later ones get. Leaves `norms` with other statistics and another momentum.
    """
    classifier.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # the statistics of the last batch alone

    def left_by(index: Tensor) -> Tensor:
        classifier.run(as_float(images.pixels[index].to(classifier.mean.device)), 0, frozen)
        return statistics(norms)

    crowd = torch.randperm(len(images), generator=stream(seed, "batch_norm", "crowd"))[:CROWD]
    rows = []
    for person in range(images.classes):
        own = (images.labels == person).nonzero().flatten()[:CROWD]
        others = crowd[images.labels[crowd] != person]
        rows.append(left_by(torch.cat((others, own))) - left_by(others))
    return torch.stack(rows)
