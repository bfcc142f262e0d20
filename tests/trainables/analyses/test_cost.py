"""Seconds of training, with a clock that the test turns."""

import pytest
import toy_networks as toys

from trainables.analyses import cost
from trainables.analyses.base import TrainingSubject
from trainables.analyses.cost import Cost
from trainables.defenses import DEFENSES
from trainables.defenses.none import NoDefense
from trainables.training.classifier import Target


def subject(begun, **knobs):
    def begin(classes, defense, freeze_point):
        begun.append((classes, defense.kind, freeze_point))
        return "classifier"

    return TrainingSubject(
        recipe=Target(architecture="small_cnn", epochs=10, **knobs),
        defense=DEFENSES["mid"](),
        private=toys.parts(),
        begin=begin,
    )


def test_both_take_turns_and_the_fastest_epochs_count(monkeypatch):
    """A defended epoch takes 3 s, the first 5 s; an undefended one 2 s; every second training is slower."""
    now, trained, begun = [0.0], [], []

    def train(classifier, recipe, defense, train, validation, *, run):
        slow = 1.0 if len(trained) in (0, 1) else 0.0
        trained.append((recipe.epochs, recipe.freeze_point, defense.kind))
        first, later = (2.0, 2.0) if isinstance(defense, NoDefense) else (5.0, 3.0)
        for epoch in range(1, recipe.epochs + 1):
            run.report("target", 10 * epoch - 5, 10 * recipe.epochs)  # within an epoch: ends none
            now[0] += (first if epoch == 1 else later) + slow
            run.report("target", epoch, recipe.epochs, loss=1.0)

    monkeypatch.setattr(cost, "train_classifier", train)
    monkeypatch.setattr(cost.time, "perf_counter", lambda: now[0])
    figures = Cost(epochs=3, repeats=2).measure(subject(begun, freeze_point="conv2"))
    assert trained == [(3, "conv2", "mid"), (3, "none", "none")] * 2
    assert begun == [(toys.CLASSES, "mid", "conv2"), (toys.CLASSES, "none", "none")] * 2
    assert (figures["first_epoch_seconds"], figures["epoch_seconds"]) == (5, 3)
    assert (figures["undefended_first_epoch_seconds"], figures["undefended_epoch_seconds"]) == (2, 2)
    assert figures["training_seconds"] == 5 + 9 * 3 and figures["undefended_training_seconds"] == 20
    assert figures["ratio"] == pytest.approx(32 / 20)


def test_one_epoch_cannot_tell_the_first_from_the_others():
    with pytest.raises(ValueError, match="epochs"):
        Cost(epochs=1)
