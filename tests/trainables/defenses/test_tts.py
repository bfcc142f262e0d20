"""TTS: when the skips go, of which stages, at which learning rate, and after a kill."""

import dataclasses
import math

import pytest
import torch
import toy_networks as toys

from trainables.architectures.skips import ScaledShortcut
from trainables.defenses.none import NoDefense
from trainables.defenses.rule import LossRule
from trainables.defenses.tts import TTS
from trainables.runtime.run import Run
from trainables.storage.resume import Resume
from trainables.training.classifier import Target, build_classifier, train_classifier

EPOCHS = 2
RECIPE = Target(architecture="small_resnet", epochs=EPOCHS, batch_size=15)  # two batches an epoch
KEPT, GONE = [1, 1, 1, 1], [1, 1, 1, 0]


def factors(classifier):
    """Return the factor of each block, all of which have a shortcut."""
    return [module.factor for module in classifier.modules() if isinstance(module, ScaledShortcut)]


def fit(defense, recipe=RECIPE, resume=None):
    """Return the classifier and its training's record."""
    split = toys.parts()
    classifier = defense.prepare(build_classifier("small_resnet", toys.CLASSES, toys.SIZE, "half", seed=0))
    run = Run(seed=0, resume=resume or Resume())
    return classifier, train_classifier(classifier, recipe, defense, split.train, split.validation, run=run)


@pytest.fixture
def steps(monkeypatch):
    """Return of each training step its factors and its learning rate, once a training has run."""
    seen = []
    step = LossRule.step

    def watched(rule, batch, epoch):
        done = step(rule, batch, epoch)  # of TTS with the factors of this step
        rate = rule._training.optimizer.param_groups[0]["lr"]
        seen.append((factors(rule._training.classifier), rate))
        return done

    monkeypatch.setattr(LossRule, "step", watched)
    return seen


@pytest.mark.parametrize(
    ("knobs", "changes", "first", "second"),
    [
        ({}, {}, KEPT, GONE),
        ({"skips": (0, 1, 0.5, 0.25)}, {}, KEPT, [0, 1, 0.5, 0.25]),
        ({}, {"freeze_point": "block4"}, GONE, GONE),
        ({"skips": (0, 1, 0.5, 0.25)}, {"freeze_point": "block2"}, [0, 1, 1, 1], [0, 1, 0.5, 0.25]),
        ({}, {"trained": ("block2",)}, KEPT, GONE),  # the last stage is frozen, but after a trained one
    ],
)
def test_skips_go_after_the_recipe_and_of_frozen_first_stages_at_once(steps, knobs, changes, first, second):
    classifier, record = fit(TTS(second_epochs=2, **knobs), dataclasses.replace(RECIPE, **changes))
    assert [found for found, _ in steps] == [first] * 2 * EPOCHS + [second] * 2 * 2
    assert [row["epoch"] for row in record.history] == [1, 2, 3, 4]
    assert record.best_epoch > EPOCHS  # though the first phase is as good
    assert factors(classifier) == second


def test_the_first_phase_is_the_undefended_training_and_the_second_has_its_last_rate(steps):
    recipe = dataclasses.replace(RECIPE, schedule="cosine", learning_rate=0.1)
    _, record = fit(TTS(second_epochs=2), recipe)
    _, plain = fit(NoDefense(), recipe)
    assert record.history[:EPOCHS] == plain.history
    rates = [0.1 * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2 for epoch in range(EPOCHS)]
    expected = [rate for rate in [*rates, rates[-1], rates[-1]] for _ in range(2)]
    assert [rate for _, rate in steps[:8]] == pytest.approx(expected)


def test_a_training_that_was_killed_after_its_end_has_no_skips(tmp_path):
    classifier, record = fit(TTS(second_epochs=1), resume=Resume(tmp_path, every=0.0))
    again, resumed = fit(TTS(second_epochs=1), resume=Resume(tmp_path, every=0.0))
    assert resumed == record
    images = toys.parts().test.pixels.float() / 255
    assert factors(again) == GONE and torch.equal(again(images), classifier(images))


def test_it_is_finished_after_the_first_epoch_without_skips():
    defense = TTS(second_epochs=4)
    assert defense.extra_epochs == 4
    assert [epoch for epoch in range(1, 9) if defense.finished(epoch, epochs=5)] == [6, 7, 8]


@pytest.mark.parametrize("second_epochs", [0, -1])
def test_impossible_lengths(second_epochs):
    with pytest.raises(ValueError, match="second_epochs"):
        TTS(second_epochs=second_epochs)
