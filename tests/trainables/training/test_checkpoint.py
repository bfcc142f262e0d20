"""A training that was killed goes on at its epoch and ends with the same bits."""

import dataclasses

import pytest
import torch
import toy_networks as toys
from torch import nn

from trainables.architectures.base import Classifier
from trainables.defenses import DEFENSES
from trainables.defenses.calor import CALoR
from trainables.defenses.dp_sgd import DPSGD
from trainables.defenses.mid import MID
from trainables.defenses.negative_label_smoothing import NegativeLabelSmoothing
from trainables.defenses.none import NoDefense
from trainables.defenses.rule import LossRule
from trainables.defenses.trap_mid import TrapMID
from trainables.defenses.tts import TTS
from trainables.runtime.run import Run
from trainables.storage.resume import Resume
from trainables.training.classifier import Target, build_classifier, train_classifier

RECIPE = Target(
    architecture="small_cnn", epochs=5, batch_size=6, learning_rate=0.05, augmentation="crop_flip"
)
KNOBS = {
    "sgd": {},
    "multistep": {"schedule": "multistep", "milestones": (1, 3), "nesterov": True},
    "adam": {"optimizer": "adam", "learning_rate": 1e-3, "schedule": "cosine"},
    "adamw": {"optimizer": "adamw", "learning_rate": 1e-3},
    "frozen": {"freeze_point": "conv2", "frozen_batchnorm": "train", "augmentation": "flip"},
    "varied": {"augmentation": "resize_jitter_flip"},
    "channels_last": {"channels_last": True},
    "halved": {"precision": "bfloat16"},
}
MADE = {kind: defense() for kind, defense in DEFENSES.items()} | {
    "mid": MID(beta=0.01),
    "negative_label_smoothing": NegativeLabelSmoothing(alpha=-0.2),
    "calor": CALoR(rank=4, adaptation_epochs=3, adaptation_rate=0.01),
    "tts": TTS(second_epochs=3),
    "trap_mid": TrapMID(alpha=0.3, trigger_step=0.05),
    "dp_sgd": DPSGD(noise_multiplier=0.3, max_grad_norm=0.5),
}
RESIDUAL = ("rolss", "ssf", "tts")  # they remove skip connections


class Killed(Exception):
    """Stands for a kill."""


def fit(recipe, defense, resume=None, killed_in=None, kept_epoch=None):
    """Return weights, record, and epochs reported of a training that may be killed in its n-th step."""
    split = toys.parts()
    classifier = defense.prepare(
        build_classifier(
            "small_resnet" if defense.kind in RESIDUAL else "small_cnn", toys.CLASSES, toys.SIZE, "half", 3
        )
    )
    epochs = []
    steps = 0

    def counted(module, inputs):
        nonlocal steps
        if module.training and torch.is_grad_enabled():
            steps += 1
            if steps == killed_in:
                raise Killed

    def told(stage, done, total, **figures):
        if figures:  # else within an epoch, of a slow machine
            epochs.append(done)

    classifier.head.register_forward_pre_hook(counted)
    trained = train_classifier(
        classifier,
        recipe,
        defense,
        split.train,
        split.validation,
        run=Run(seed=4, report=told, resume=resume or Resume()),
        kept_epoch=kept_epoch,
    )
    return classifier.state_dict(), trained, epochs


def same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("knobs", KNOBS)
def test_a_killed_training_goes_on_to_the_same_bits(knobs, tmp_path):
    recipe = dataclasses.replace(RECIPE, **KNOBS[knobs])
    weights, record, _ = fit(recipe, NoDefense())
    with pytest.raises(Killed):
        # 5 batches an epoch: in the third
        fit(recipe, NoDefense(), Resume(tmp_path, every=0.0), killed_in=13)
    again, resumed, epochs = fit(recipe, NoDefense(), Resume(tmp_path, every=0.0))
    assert epochs == [3, 4, 5]
    assert resumed == record
    same(weights, again)


@pytest.mark.parametrize("defense", DEFENSES)
def test_every_defense_goes_on_too(defense, tmp_path):
    if defense == "dp_sgd":
        pytest.importorskip("opacus", reason="the extra dp is not installed")
    made, point = MADE[defense], "block1" if defense in RESIDUAL else "conv1"
    recipe = dataclasses.replace(RECIPE, **KNOBS["adam"], freeze_point=point)
    last = recipe.epochs + made.extra_epochs
    weights, record, _ = fit(recipe, made)
    kills = (13, 23) if made.extra_epochs else (13,)  # in the third epoch; of those left, the fifth
    for killed_in in kills:
        with pytest.raises(Killed):
            fit(recipe, made, Resume(tmp_path, every=0.0), killed_in=killed_in)
    again, resumed, epochs = fit(recipe, made, Resume(tmp_path, every=0.0))
    assert epochs == list(range(7 if made.extra_epochs else 3, last + 1))
    same(record.kept, resumed.kept)
    assert dataclasses.replace(resumed, kept={}) == dataclasses.replace(record, kept={})
    same(weights, again)


def test_killed_twice_and_after_its_end(tmp_path):
    weights, record, _ = fit(RECIPE, NoDefense())
    for step in (7, 7):
        with pytest.raises(Killed):
            fit(RECIPE, NoDefense(), Resume(tmp_path, every=0.0), killed_in=step)
    _, _, epochs = fit(RECIPE, NoDefense(), Resume(tmp_path, every=0.0))
    assert epochs == [3, 4, 5]
    again, resumed, epochs = fit(
        RECIPE, NoDefense(), Resume(tmp_path, every=0.0)
    )  # killed between its end and its store
    assert epochs == [] and resumed == record
    same(weights, again)


def test_a_rule_brings_its_own_state_back(tmp_path):
    class Drawing(LossRule):
        """Scales each loss by a draw of its own stream, and counts its steps."""

        def __init__(self, loss, training):
            super().__init__(lambda *parts: self.draw() * loss(*parts), training)
            self.generator, self.steps = torch.Generator().manual_seed(training.seed), 0

        def draw(self):
            self.steps += 1
            return torch.rand((), generator=self.generator) + self.steps / 10

        def state(self):
            return {"generator": self.generator.get_state(), "steps": self.steps}

        def restore(self, state):
            self.generator.set_state(state["generator"])
            self.steps = state["steps"]

    class Drawn(NoDefense):
        def begin(self, training):
            return Drawing(self.loss, training)

    weights, record, _ = fit(RECIPE, Drawn())
    with pytest.raises(Killed):
        fit(RECIPE, Drawn(), Resume(tmp_path, every=0.0), killed_in=13)
    again, resumed, _ = fit(RECIPE, Drawn(), Resume(tmp_path, every=0.0))
    assert resumed == record
    same(weights, again)


def test_dropout_draws_the_same_after_a_kill(tmp_path):
    def network():
        torch.manual_seed(0)
        stage = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Dropout(0.4))
        return Classifier({"first": stage}, nn.Flatten(), nn.Linear(256, toys.CLASSES))

    def fit_network(resume, stop_after=None):
        split, classifier = toys.parts(), network()

        def report(_, done, __, **more):
            if done == stop_after:
                raise Killed

        run = Run(seed=1, resume=resume, report=report)
        recipe = dataclasses.replace(RECIPE, learning_rate=1e-3)
        return train_classifier(classifier, recipe, NoDefense(), split.train, split.validation, run=run)

    whole = fit_network(Resume())
    with pytest.raises(Killed):
        fit_network(Resume(tmp_path, every=0.0), stop_after=3)
    assert fit_network(Resume(tmp_path, every=0.0)) == whole
    assert len({row["loss"] for row in whole.history}) == RECIPE.epochs


def test_it_is_written_where_that_is_due_and_not_after_every_epoch(tmp_path):
    written = []

    class Counted(Resume):
        def write(self, name, state):
            written.append(name)
            super().write(name, state)

    fit(RECIPE, NoDefense(), Counted(tmp_path, every=1000.0))
    assert not written
    fit(RECIPE, NoDefense(), Counted(tmp_path, every=0.0))
    assert len(written) == RECIPE.epochs
