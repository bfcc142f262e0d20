"""The ceiling: another design than the judge's, all images but the test images, judged by the first judge."""

from dataclasses import replace

import pytest
import torch
from planted import PEOPLE, Nearest, planted_trial

from trainables.architectures import ARCHITECTURES
from trainables.attacks.rlb import RLB
from trainables.controls.ceiling import both, ceiling_target, ceiling_trial, make_view
from trainables.defenses.none import NoDefense
from trainables.errors import ConfigError
from trainables.judges.classifier import ClassifierJudge
from trainables.oracle import ScoreOracle
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.stages.data import load_data
from trainables.storage.store import Store
from trainables.training.classifier import build_classifier, train_classifier

JUDGE = ClassifierJudge(
    architecture="small_resnet", epochs=3, batch_size=8, learning_rate=2e-3, augmentation="flip"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def test_the_view_has_the_judges_recipe_and_another_architecture():
    trial = ceiling_trial(planted_trial(judge=JUDGE))
    assert trial.target.architecture == "small_cnn"  # the target's own
    assert trial.target.normalization == "none"  # that of its backbone
    assert trial.target.shared() == JUDGE.shared() and trial.defense == NoDefense()
    assert trial.target.freeze_point == "none"


def test_where_the_target_is_of_the_judges_architecture_the_next_that_fits_is_taken(monkeypatch):
    judge = replace(JUDGE, architecture="small_cnn", normalization="imagenet")
    trial = ceiling_trial(planted_trial(judge=judge))
    assert trial.target.architecture == next(name for name in ARCHITECTURES if name != "small_cnn")
    assert trial.target.normalization == "imagenet"  # the judge's: there is no backbone
    first = trial.target.architecture

    def refuse(classes, image_size):
        raise RuntimeError("too small")

    monkeypatch.setitem(ARCHITECTURES, first, replace(ARCHITECTURES[first], build=refuse))
    assert ceiling_trial(planted_trial(judge=judge)).target.architecture not in (first, "small_cnn")


def test_no_more_networks_are_built_than_tell_which_is_taken(monkeypatch):
    built = []
    for name, entry in ARCHITECTURES.items():

        def build(classes, image_size, name=name, entry=entry):
            built.append(name)
            return entry.build(classes, image_size)

        monkeypatch.setitem(ARCHITECTURES, name, replace(entry, build=build))
    ceiling_trial(planted_trial(judge=JUDGE))
    assert built == []  # the target's own architecture, which every trial checks
    trial = ceiling_trial(planted_trial(judge=replace(JUDGE, architecture="small_cnn")))
    assert built == [trial.target.architecture]


def test_without_a_classifier_as_judge_the_usual_recipe_of_one_is_taken():
    trial = ceiling_trial(planted_trial(judge=Nearest()), "small_resnet")
    assert trial.target.architecture == "small_resnet"
    assert trial.target.shared() == ClassifierJudge(architecture="small_resnet").shared()


def test_the_judges_own_architecture_is_refused():
    with pytest.raises(ConfigError, match=r"another architecture than the judge's; got 'small_resnet' twice"):
        ceiling_trial(planted_trial(judge=JUDGE), "small_resnet")


def test_the_view_learns_all_but_the_test_images_to_its_last_epoch(store):
    config = planted_trial(judge=JUDGE)
    trial = ceiling_trial(config)
    stage = make_view(config, trial, store=store)
    split = load_data(config).split
    everything = both(split)
    assert len(everything) == len(split.train) + len(split.validation)
    assert set(everything.files) == set(split.train.files) | set(split.validation.files)
    assert torch.equal(everything.pixels[-1], split.validation.pixels[-1])
    seed = derive(0, "ceiling", 0)
    classifier = build_classifier("small_cnn", PEOPLE, 32, "none", seed)
    trained = train_classifier(
        classifier,
        trial.target,
        NoDefense(),
        everything,
        split.validation,
        run=Run(seed=seed),
        stage="ceiling",
        kept_epoch=3,
    )
    stored = torch.load(stage.path / "target.pt", weights_only=True)
    assert all(torch.equal(stored[name], value) for name, value in classifier.state_dict().items())
    assert stage.result["best_epoch"] == 3 == len(trained.history)
    assert stage.result["validation_accuracy"] is None
    assert make_view(config, trial, store=store).made_now is False
    other = replace(trial, target=replace(trial.target, epochs=2))
    assert make_view(config, other, store=store).key != stage.key
    again = replace(config, replicate=1)
    assert make_view(again, ceiling_trial(again), store=store).key != stage.key


def test_a_black_box_attack_sees_no_more_of_the_view(store, monkeypatch):
    seen = []

    class Watching(RLB):
        def reconstruct(self, target, *arguments, **named):
            seen.append(type(target))
            return super().reconstruct(target, *arguments, **named)

    attack = Watching(episodes=3, hidden=4, replay=2)
    config = planted_trial(attack, judge=JUDGE)
    control = ceiling_target(config, "rlb", store=store)
    assert seen == [ScoreOracle]
    assert (control.name, control.architecture, control.epoch) == ("ceiling", "small_cnn", 3)
    assert control.validation_accuracy is None and 0 <= control.test_accuracy <= 1
    assert len(control.per_identity) == PEOPLE and control.restarts == 1
