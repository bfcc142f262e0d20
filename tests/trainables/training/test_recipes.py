import csv
from pathlib import Path

import pytest

from trainables.config import document, load_trial
from trainables.errors import ConfigError
from trainables.training.recipe import Recipe
from trainables.training.recipes import RECIPES

PUBLISHED = Path(__file__).parents[4] / "shared" / "published" / "training_recipes.csv"
NAMES = {
    "VGG16": "tl_dmi_vgg16",
    "IR152": "tl_dmi_ir152",
    "FaceNet64": "tl_dmi_facenet64",
    "ResNet-34": "tl_dmi_resnet34",
    "ResNet-18": "tl_dmi_resnet18",
    "MaxViT": "tl_dmi_maxvit",
    "ResNeSt-101": "tl_dmi_resnest101",
    "ResNet-50": "tl_dmi_resnet50",
}
# Table 13: epochs, batch size, learning rate, optimiser, weight decay, momentum
TABLE_13 = {
    "tl_dmi_vgg16": (200, 64, 0.02, "sgd", 1e-4, 0.9),
    "tl_dmi_ir152": (100, 64, 0.01, "sgd", 1e-4, 0.9),
    "tl_dmi_facenet64": (200, 8, 0.008, "sgd", 1e-4, 0.9),
    "tl_dmi_resnet34": (200, 64, 0.1, "sgd", 5e-4, 0.9),
    "tl_dmi_resnet18": (100, 128, 0.001, "adam", None, None),
    "tl_dmi_maxvit": (100, 64, 0.001, "adam", None, None),
    "tl_dmi_resnest101": (100, 128, 0.001, "adam", None, None),
    "tl_dmi_resnet50": (100, 1024, 0.001, "adam", None, None),
}
FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
TRIAL = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn"},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2},
    "attack": {"kind": "gmi"},
    "judge": {"kind": "classifier", "architecture": "small_resnet"},
}


def target(**knobs):
    return load_trial({**TRIAL, "target": {"architecture": "small_cnn", **knobs}}).target


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_one(name):
    recipe = target(recipe=name)
    for knob, value in RECIPES[name].knobs.items():
        assert getattr(recipe, knob) == (tuple(value) if isinstance(value, list) else value)
    assert RECIPES[name].source


@pytest.mark.parametrize("name", TABLE_13)
def test_recipes_of_the_table(name):
    epochs, batch_size, rate, optimizer, decay, momentum = TABLE_13[name]
    knobs = RECIPES[name].knobs
    assert (knobs["epochs"], knobs["batch_size"], knobs["learning_rate"], knobs["optimizer"]) == (
        epochs,
        batch_size,
        rate,
        optimizer,
    )
    assert decay is None or (knobs["weight_decay"], knobs["momentum"]) == (decay, momentum)


def test_the_table_is_the_published_one():
    if not PUBLISHED.is_file():
        pytest.skip("the published tables are not here")
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["architecture"] for row in rows} == NAMES.keys()
    for row in rows:
        printed = (
            *(int(row["epochs"]), int(row["batch_size"]), float(row["learning_rate"])),
            row["optimizer"].lower(),
            float(row["weight_decay"]) if row["weight_decay"] else None,
            float(row["momentum"]) if row["momentum"] else None,
        )
        assert TABLE_13[NAMES[row["architecture"]]] == printed


def test_a_recipe_is_written_out_and_its_knobs_can_be_changed():
    config = load_trial(
        {**TRIAL, "target": {"architecture": "small_cnn", "recipe": "tl_dmi_vgg16", "batch_size": 9}}
    )
    written = document(config)["target"]
    assert "recipe" not in written
    assert (written["epochs"], written["batch_size"], written["learning_rate"]) == (200, 9, 0.02)
    assert load_trial(document(config)) == config


def test_judges_and_backbones_take_recipes_too():
    trial = load_trial(
        {
            **TRIAL,
            "judge": {**TRIAL["judge"], "recipe": "ppa_inception"},
            "pretraining": {
                "kind": "dataset",
                "data": {**FACES, "population": "far"},
                "recipe": "tl_dmi_resnet18",
            },
        }
    )
    for recipe in (trial.judge, trial.pretraining):
        assert isinstance(recipe, Recipe)
        assert (recipe.optimizer, recipe.milestones) == ("adam", (75, 90))


def test_milestones_keep_their_shares_of_another_length():
    short = target(recipe="tl_dmi_resnet34", epochs=20)
    assert (short.schedule, short.milestones) == ("multistep", (6, 12, 16))
    assert target(recipe="tl_dmi_resnet34", epochs=20, milestones=[5]).milestones == (5,)
    least = target(recipe="tl_dmi_resnet18", epochs=1)
    assert (least.schedule, least.milestones) == ("constant", ())


def test_mistakes_name_the_recipe():
    with pytest.raises(
        ConfigError, match=r"recipe must be one of tl_dmi_vgg16, .*did you mean.*target\.recipe"
    ):
        target(recipe="tl_dmi_vgg61")
    with pytest.raises(ConfigError, match="recipe must be one of"):
        target(recipe=["tl_dmi_vgg16"])
    filled = document(load_trial(TRIAL))["target"]
    with pytest.raises(ConfigError, match=r"expects to set epochs, .*all of them are set beside it"):
        load_trial({**TRIAL, "target": {**filled, "recipe": "tl_dmi_vgg16"}})
