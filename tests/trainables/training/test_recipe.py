import pytest

from trainables.judges.classifier import ClassifierJudge
from trainables.pretraining.dataset import OnDataset
from trainables.storage.content import with_content
from trainables.training.classifier import Target
from trainables.training.recipe import Recipe

CHANGED = {
    "epochs": 3,
    "batch_size": 8,
    "optimizer": "adam",
    "learning_rate": 0.5,
    "momentum": 0.1,
    "weight_decay": 0.2,
    "schedule": "cosine",
    "augmentation": "none",
    "milestones": (1, 2),
    "gamma": 0.5,
    "nesterov": False,
    "precision": "bfloat16",
    "channels_last": True,
    "compile": True,
    "deterministic": True,
}


def test_every_recipe_hands_on_every_knob():
    assert Recipe(**CHANGED).shared() == CHANGED
    assert ClassifierJudge(architecture="small_cnn", **CHANGED).shared() == CHANGED
    assert OnDataset(data=None, **CHANGED).shared() == CHANGED
    assert Target(architecture="x", **CHANGED).shared() == CHANGED


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("momentum", -1.0),
        ("momentum", 1.0),
        ("momentum", 1e30),
        ("weight_decay", -1e-9),
        ("gamma", 0.0),
    ],
)
def test_values_out_of_range_are_refused_everywhere(knob, value):
    for recipe in (Recipe, OnDataset, ClassifierJudge, Target):
        needed = {OnDataset: {"data": None}, Recipe: {}}.get(recipe, {"architecture": "small_cnn"})
        with pytest.raises(ValueError, match=f"{knob} must be"):
            recipe(**needed, **{knob: value})


@pytest.mark.parametrize("milestones", [(0,), (5,), (-1, 2), (3, 2), (2, 2)])
def test_milestones_are_rising_epochs_inside_the_training(milestones):
    with pytest.raises(ValueError, match=r"milestones must be rising epochs between 0 and epochs \(5\)"):
        Recipe(epochs=5, schedule="multistep", milestones=milestones)
    assert Recipe(epochs=5, schedule="multistep", milestones=(1, 4)).milestones == (1, 4)


def test_steps_need_a_milestone():
    with pytest.raises(ValueError, match="at least one epoch for schedule 'multistep'"):
        Recipe(schedule="multistep")


@pytest.mark.parametrize("knobs", [{"optimizer": "adam"}, {"momentum": 0.0}])
def test_nesterov_needs_momentum(knobs):
    with pytest.raises(ValueError, match="nesterov must be false without optimizer 'sgd' and a momentum"):
        Recipe(nesterov=True, **knobs)


def test_knobs_that_came_later_enter_a_content_key_only_when_set():
    later = {"milestones", "gamma", "nesterov"}
    assert not later & with_content(Recipe()).keys()
    changed = {"milestones": (1, 2), "gamma": 0.5, "nesterov": True}
    content = with_content(Recipe(**changed))
    assert {name: content[name] for name in later} == {"milestones": [1, 2], "gamma": 0.5, "nesterov": True}
