import pytest

from trainables.judges.classifier import ClassifierJudge
from trainables.pretraining.dataset import OnDataset
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
}


def test_every_recipe_hands_on_every_knob():
    assert Recipe(**CHANGED).shared() == CHANGED
    assert ClassifierJudge(architecture="small_cnn", **CHANGED).shared() == CHANGED
    assert OnDataset(data=None, **CHANGED).shared() == CHANGED
    assert Target(architecture="x", **CHANGED).shared() == CHANGED


@pytest.mark.parametrize(
    ("knob", "value"),
    [("epochs", 0), ("batch_size", 1), ("learning_rate", 0.0), ("momentum", -1.0), ("weight_decay", -1e-9)],
)
def test_values_out_of_range_are_refused_everywhere(knob, value):
    for recipe in (Recipe, OnDataset, ClassifierJudge, Target):
        needed = {OnDataset: {"data": None}, Recipe: {}}.get(recipe, {"architecture": "small_cnn"})
        with pytest.raises(ValueError, match=f"{knob} must be"):
            recipe(**needed, **{knob: value})
