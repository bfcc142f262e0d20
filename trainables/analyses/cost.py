"""Cost of a defense: seconds of training beside undefended training, in one run on one machine."""

import time
from dataclasses import dataclass
from typing import Any, ClassVar

from trainables.analyses.base import TrainingAnalysis, TrainingSubject
from trainables.defenses.base import Defense
from trainables.defenses.none import NoDefense
from trainables.runtime.checks import at_least
from trainables.runtime.run import Run
from trainables.training.classifier import Target, train_classifier


@dataclass(frozen=True, kw_only=True)
class Cost(TrainingAnalysis):
    """Times a trial's training and undefended training of the same network in turns, a few epochs each.

    epochs: of every training, at least 2: the first also computes what a frozen prefix keeps.
    repeats: trainings of each; they take turns, and the fastest epoch of each place counts.

    What it says: the price of a defense or of freezing in seconds of training, as TL-DMI's Table 18 does,
    validation after each epoch included. What it cannot say: seconds on another machine, or of a whole
    search: only ratios of one run compare. An extra phase that a defense adds after its epochs is timed by
    what its epochs take on average. Pre-training, which freezing needs, is not counted: all trials share it.
    """

    kind = "cost"
    summary = "seconds of training, and their ratio to undefended training, in one run on one machine"
    source = "Ho et al. 2024"
    limits = (
        "seconds on another machine or of a whole search, nor the price of pre-training, which trials share"
    )
    repeatable: ClassVar[bool] = False
    columns = ("epoch_seconds", "undefended_epoch_seconds", "training_seconds", "ratio")

    epochs: int = 3
    repeats: int = 3

    def __post_init__(self) -> None:
        at_least(self, 2, "epochs")
        at_least(self, 1, "repeats")

    def measure(self, subject: TrainingSubject) -> dict[str, Any]:
        """Return seconds, and their ratios.

        epoch_seconds, first_epoch_seconds: of an epoch after the first, and of the first; undefended_…: the
        same with no defense and nothing frozen, from the same weights. training_seconds,
        undefended_training_seconds: of all epochs of the recipe, from these. ratio: of the two.
        """
        plain = subject.recipe.unfrozen()
        both: dict[str, tuple[Target, Defense]] = {
            "": (subject.recipe, subject.defense),
            "undefended_": (plain, NoDefense()),
        }
        times: dict[str, list[list[float]]] = {name: [] for name in both}
        for _ in range(self.repeats):
            for name, (recipe, defense) in both.items():
                times[name].append(self._train(subject, recipe, defense))
        figures: dict[str, Any] = {}
        for name, (recipe, defense) in both.items():
            first = min(row[0] for row in times[name])
            later = min(seconds for row in times[name] for seconds in row[1:])
            figures[f"{name}epoch_seconds"] = later
            figures[f"{name}first_epoch_seconds"] = first
            rest = recipe.epochs + defense.extra_epochs - 1
            figures[f"{name}training_seconds"] = first + rest * later
        return {
            **figures,
            "ratio": figures["training_seconds"] / figures["undefended_training_seconds"],
            "images": len(subject.private.train),
            "recipe_epochs": subject.recipe.epochs,
        }

    def _train(self, subject: TrainingSubject, recipe: Target, defense: Defense) -> list[float]:
        """Return the seconds of each epoch of one training."""
        train, validation = subject.private.train, subject.private.validation
        classifier = subject.begin(train.classes, defense, recipe.freeze_point)
        ends: list[float] = []

        def report(stage: str, done: int, total: int, **metrics: float) -> None:
            if metrics:  # the end of an epoch
                ends.append(time.perf_counter())

        began = time.perf_counter()
        run = Run(seed=subject.seed, device=subject.device, report=report)
        short = recipe.shortened(self.epochs)
        train_classifier(classifier, short, defense, train, validation, run=run)
        return [end - start for start, end in zip([began, *ends], ends, strict=False)]
