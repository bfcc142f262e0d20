"""IR50 and IR152, the face networks of the 64-pixel targets and of their evaluator."""

from functools import partial

from torch import nn

from trainables.architectures.base import Architecture, Classifier
from trainables.nn.improved_residual import ImprovedResidual, input_layer, output_layer, xavier

WIDTHS = (64, 128, 256, 512)
UNITS_50 = (3, 4, 14, 3)  # of each width; the first of each halves the resolution
UNITS_152 = (3, 8, 36, 3)
SOURCE = "Deng et al., CVPR 2019 (ArcFace); as in Chen et al., ICCV 2021 (KED-MI)"


def stage_names(units: tuple[int, ...]) -> tuple[str, ...]:
    """Return input_layer, body_0 … body_N for so many units."""
    return ("input_layer", *(f"body_{number}" for number in range(sum(units))))


def build(classes: int, image_size: int, *, units: tuple[int, ...]) -> Classifier:
    """Return the network with random weights; feature 512 numbers at any image size from 32.

    Stages: input_layer, body_0 … (a residual unit each). Neck: the output layer with its dropout, always
    trained, as published. Released code of TL-DMI misspells an attribute, and so trains the input layer's
    1,920 weights below frozen units; here it is frozen with them.
    Hooks: the last unit at each resolution and the feature; five terms, like BiDO's for VGG16. What BiDO took
    of these networks is unpublished.
    """
    stages: dict[str, nn.Module] = {"input_layer": input_layer(WIDTHS[0])}
    ends = ["input_layer"]
    groups: list[tuple[str, ...]] = []
    channels, side = WIDTHS[0], image_size
    for width, count in zip(WIDTHS, units, strict=True):
        for number in range(count):
            stages[f"body_{len(stages) - 1}"] = ImprovedResidual(channels, width, 2 if number == 0 else 1)
            channels = width
        side = -(-side // 2)
        groups.append(tuple(stages)[-count:])
        ends.append(f"body_{len(stages) - 2}")
    classifier = Classifier(
        stages,
        neck=output_layer(channels, side),
        head=nn.Linear(512, classes),
        hooks=(*ends[:-1], "neck"),
        skips=groups,
    )
    xavier(classifier)
    return classifier


def checkpoint_key(key: str) -> str:
    """Return face.evoLVe's name of the stage weight `key`: ``body_3.path.…`` -> ``body.3.res_layer.…``.

    Published MS-Celeb-1M backbones are named so.
    """
    stage, rest = key.split(".", 1)
    if stage == "input_layer":
        return key
    rest = rest.replace("path.", "res_layer.", 1).replace("shortcut.", "shortcut_layer.", 1)
    return f"{stage.replace('_', '.')}.{rest}"


IR152 = Architecture(
    kind="ir152",
    summary="IR152: input layer and 50 improved residual units",
    source=SOURCE,
    build=partial(build, units=UNITS_152),
    torchvision_key=checkpoint_key,
    surplus=("output_layer.",),
    stages=stage_names(UNITS_152),
)
FACENET64 = Architecture(
    kind="facenet64",
    summary="FaceNet64: IR50, input layer and 24 improved residual units",
    source=SOURCE,
    build=partial(build, units=UNITS_50),
    torchvision_key=checkpoint_key,
    surplus=("output_layer.",),
    stages=stage_names(UNITS_50),
)
FACENET112 = Architecture(
    kind="facenet112",
    summary="IR50 for 112 pixels, the evaluation classifier of 64-pixel faces",
    source=SOURCE,
    build=partial(build, units=UNITS_50),
    torchvision_key=checkpoint_key,
    surplus=("output_layer.",),
    stages=stage_names(UNITS_50),
    smallest=112,
    largest=112,
)
