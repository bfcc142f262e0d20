"""Rules: the default is one optimiser step on a loss, and a defense may train in any other way."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from trainables.datasets.base import Images
from trainables.defenses.base import Defense
from trainables.defenses.none import NoDefense
from trainables.defenses.rule import Batch, Rule, Training
from trainables.runtime.run import Run
from trainables.training.classifier import Target, build_classifier, make_optimizer, train_classifier

LABELS = torch.arange(4).repeat_interleave(4)
PIXELS = torch.randint(0, 256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
IMAGES = Images(pixels=PIXELS, labels=LABELS, names=tuple("abcd"), files=tuple(map(str, range(16))))
RECIPE = Target(architecture="small_cnn", epochs=3, batch_size=8, augmentation="flip", learning_rate=0.05)


def test_the_default_rule_is_one_step_on_the_loss():
    ours, theirs = (build_classifier("small_cnn", 4, 32, "none", seed=0) for _ in range(2))
    images = PIXELS.float() / 255
    optimizer = make_optimizer(theirs, RECIPE)
    functional.cross_entropy(theirs(images), LABELS).backward()
    optimizer.step()
    training = Training(
        classifier=ours, optimizer=make_optimizer(ours, RECIPE), frozen=0, epochs=1, images=IMAGES, seed=0
    )
    batch = Batch(index=torch.arange(16), images=images, labels=LABELS, inputs=images)
    loss, logits = NoDefense().begin(training).step(batch, 1)
    assert not loss.requires_grad and logits.shape == (16, 4)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


class TwoPhases(Rule):
    """Cross-entropy through the recipe's optimiser, then the head alone through one of its own."""

    def __init__(self, training: Training, log: list) -> None:
        self._training, self._log = training, log
        self._own = torch.optim.SGD(training.classifier.head.parameters(), lr=0.01)

    def step(self, batch: Batch, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        second = epoch > self._training.epochs
        unvaried = self._training.images.pixels[batch.index].float() / 255
        logits = self._training.classifier(unvaried)  # a forward pass of its own
        loss = functional.cross_entropy(logits, batch.labels)
        optimizer = self._own if second else self._training.optimizer
        self._training.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rate = self._training.optimizer.param_groups[0]["lr"]
        first = next(self._training.classifier.parameters()).detach().clone()
        self._log.append((epoch, second, rate, first, torch.equal(unvaried, batch.images)))
        return loss.detach(), logits.detach()

    def may_be_chosen(self, epoch: int) -> bool:
        return epoch > self._training.epochs


LOG: list = []


@dataclass(frozen=True, kw_only=True)
class Phased(Defense):
    """A defense with a second phase of two epochs."""

    kind: ClassVar[str] = "phased"
    summary: ClassVar[str] = "two phases"
    source: ClassVar[str] = "this test"
    extra_epochs: ClassVar[int] = 2

    def begin(self, training: Training) -> Rule:
        return TwoPhases(training, LOG)


def test_a_defense_may_have_a_second_phase_an_optimiser_and_a_forward_pass_of_its_own():
    LOG.clear()
    classifier = build_classifier("small_cnn", 4, 32, "none", seed=0)
    ends = []
    trained = train_classifier(
        classifier,
        Target(**{**vars(RECIPE), "schedule": "cosine"}),
        Phased(),
        IMAGES,
        IMAGES,
        run=Run(seed=0, report=lambda stage, done, total, **metrics: ends.append((done, total))),
    )
    assert ends == [(epoch, 5) for epoch in range(1, 6)]
    assert [point["epoch"] for point in trained.history] == [1, 2, 3, 4, 5]
    assert trained.best_epoch > RECIPE.epochs  # whatever the first phase reached
    first = [weight for _, second, _, weight, _ in LOG if not second]
    later = [weight for _, second, _, weight, _ in LOG if second]
    assert not torch.equal(first[0], first[-1])
    assert all(torch.equal(first[-1], weight) for weight in later)  # the second phase trains the head alone
    rates = {epoch: rate for epoch, _, rate, _, _ in LOG}
    assert rates[1] > rates[2] > rates[3] > 0
    assert rates[3] == rates[4] == rates[5]  # the schedule ends with the recipe
    assert not all(same for *_, same in LOG)  # the batch was augmented, what the rule saw was not


def test_a_rule_draws_from_a_seed_of_its_own_training():
    seeds = []

    class Seeing(NoDefense):
        def begin(self, training: Training) -> Rule:
            seeds.append(training.seed)
            return super().begin(training)

    for seed in (0, 0, 1):
        network = build_classifier("small_cnn", 4, 32, "none", seed=0)
        recipe = Target(**{**vars(RECIPE), "epochs": 1})
        train_classifier(network, recipe, Seeing(), IMAGES, IMAGES, run=Run(seed=seed))
    assert seeds[0] == seeds[1] != seeds[2]
