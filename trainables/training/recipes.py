"""Published recipes by name: the knobs that ``recipe: NAME`` stands for in a target, a judge or a backbone.

Table 13 of TL-DMI (Ho et al., CVPR 2024) has one for each architecture. What a paper's table leaves open is
taken from its code, and every departure is stated. Epochs were chosen by test images there, by validation
images here; the last part of a batch is dropped in both.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from trainables.errors import ConfigError
from trainables.storage.documents import suggestion


@dataclass(frozen=True, kw_only=True)
class NamedRecipe:
    """A published recipe.

    Attributes:
        knobs: of a `Recipe`, and a target's normalization; those of a study file override them.
        source: the paper and its table, or its code.
        departures: in what it is not the published one, or what else the source says of it; "" for nothing.
    """

    knobs: Mapping[str, Any]
    source: str
    departures: str = ""

    @property
    def summary(self) -> str:
        """Return the length, optimiser and batch of the training in one line."""
        knobs = self.knobs
        return (
            f"{knobs['epochs']} epochs of {knobs['optimizer']}, learning rate {knobs['learning_rate']:g} "
            f"({knobs['schedule']}), batches of {knobs['batch_size']}"
        )


TABLE = "Ho et al., CVPR 2024 (TL-DMI), Table 13"
PPA_TRAINING = {
    "epochs": 100,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "schedule": "multistep",
    "milestones": [75, 90],
    "augmentation": "resize_jitter_flip",
    "normalization": "half",
}
PPA_NOTE = (
    "Table 13 names no schedule, augmentation or normalization: those are of the code of PPA's targets, "
    "with the order of colour changes drawn for a batch instead of an image"
)


def _sgd(epochs: int, batch_size: int, learning_rate: float, **more: Any) -> dict[str, Any]:
    """Return SGD with momentum 0.9 and weight decay 1e-4 at a constant rate, on mirrored images."""
    return {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": "sgd",
        "learning_rate": learning_rate,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "constant",
        "augmentation": "flip",
        "normalization": "none",
        **more,
    }


RECIPES: dict[str, NamedRecipe] = {
    "tl_dmi_vgg16": NamedRecipe(
        knobs=_sgd(200, 64, 0.02),
        source=TABLE,
        departures="the released settings have a learning rate of 0.08",
    ),
    "tl_dmi_ir152": NamedRecipe(knobs=_sgd(100, 64, 0.01), source=TABLE),
    "tl_dmi_facenet64": NamedRecipe(knobs=_sgd(200, 8, 0.008), source=TABLE),
    "tl_dmi_resnet34": NamedRecipe(
        knobs=_sgd(
            200,
            64,
            0.1,
            weight_decay=5e-4,
            nesterov=True,
            schedule="multistep",
            milestones=[60, 120, 160],
            gamma=0.2,
            augmentation="flip_cutout",
            normalization="half",
        ),
        source=f"{TABLE}; schedule and cutout of the code of VMI",
        departures="the side of the square left out is not stated: a quarter of the image's",
    ),
    "tl_dmi_resnet18": NamedRecipe(
        knobs={**PPA_TRAINING, "batch_size": 128},
        source=TABLE,
        departures=f"{PPA_NOTE}; Table 13 says CelebA, its results are on FaceScrub",
    ),
    "tl_dmi_resnet101": NamedRecipe(
        knobs={**PPA_TRAINING, "batch_size": 128},
        source="Struppek et al., ICML 2022 (PPA), code",
        departures="Table 13 of TL-DMI has no row for it: the recipe of ResNet-18",
    ),
    "tl_dmi_maxvit": NamedRecipe(
        knobs={**PPA_TRAINING, "batch_size": 64},
        source=TABLE,
        departures=f"{PPA_NOTE}; Table 13 says CelebA, its results are on FaceScrub",
    ),
    "tl_dmi_resnest101": NamedRecipe(
        knobs={**PPA_TRAINING, "batch_size": 128}, source=TABLE, departures=PPA_NOTE
    ),
    "tl_dmi_resnet50": NamedRecipe(
        knobs={**PPA_TRAINING, "batch_size": 1024}, source=TABLE, departures=PPA_NOTE
    ),
    "kedmi_vgg16": NamedRecipe(
        knobs=_sgd(50, 64, 0.01),
        source="Chen et al., ICCV 2021 (KEDMI) and Peng et al., KDD 2022 (BiDO), code",
    ),
    "kedmi_ir152": NamedRecipe(
        knobs=_sgd(40, 64, 0.01),
        source="Chen et al., ICCV 2021 (KEDMI) and Peng et al., KDD 2022 (BiDO), code",
    ),
    "bido_vgg16": NamedRecipe(
        knobs={
            **_sgd(50, 64, 1e-4),
            "optimizer": "adam",
        },
        source="Peng et al., KDD 2022 (BiDO), code",
        departures="its schedule begins at epoch 60, after the end, and is left out",
    ),
    "bido_resnet34": NamedRecipe(
        knobs=_sgd(
            100,
            64,
            0.1,
            weight_decay=5e-4,
            nesterov=True,
            schedule="multistep",
            milestones=[60, 80],
            gamma=0.2,
            augmentation="flip_cutout",
            normalization="half",
        ),
        source="Peng et al., KDD 2022 (BiDO), code",
        departures="the side of the square left out is not stated: a quarter of the image's",
    ),
    "ppa_inception": NamedRecipe(
        knobs={**PPA_TRAINING, "batch_size": 128},
        source="Struppek et al., ICML 2022 (PPA), code: the evaluation classifier",
        departures="of FaceScrub and Stanford Dogs a single milestone, 80; batch size not stated",
    ),
}


def with_recipe(knobs: Mapping[str, Any], known: Collection[str], where: str) -> dict[str, Any]:
    """Return `knobs` over those of the recipe that they name under ``recipe``, if they do.

    known: names of the knobs that there are; a backbone has no normalization of its own. where: for errors.
    With other ``epochs`` the milestones keep their shares of the training. Raises `ConfigError` for an
    unknown recipe, and for one beside every one of its knobs, which would be none any more.
    """
    own = dict(knobs)
    name = own.pop("recipe", None)
    if name is None:
        return own
    if not isinstance(name, str) or name not in RECIPES:
        raise ConfigError(
            f"recipe must be one of {', '.join(RECIPES)}; got {name!r}{suggestion(str(name), RECIPES)} "
            f"({where})"
        )
    named = {knob: value for knob, value in RECIPES[name].knobs.items() if knob in known}
    if named.keys() <= own.keys():
        raise ConfigError(
            f"recipe '{name}' expects to set {', '.join(named)}, and all of them are set beside it; "
            f"leave out what the recipe says, or set the knobs themselves in a search space ({where})"
        )
    epochs = own.get("epochs")
    if isinstance(epochs, int) and "milestones" in named and "milestones" not in own:
        scale = epochs / named["epochs"]  # the same shares of a shorter or longer training
        stones = sorted({round(stone * scale) for stone in named["milestones"]} - {0, epochs})
        named |= {"milestones": stones} if stones else {"milestones": [], "schedule": "constant"}
    return {**named, **own}
