"""IR50 and IR152: the published numbers of weights at each cut, and names of published backbones."""

import pytest
import torch

from trainables.architectures import ARCHITECTURES
from trainables.architectures.improved_residual import checkpoint_key
from trainables.errors import ConfigError
from trainables.training.freeze import count_parameters, freeze

INPUT_LAYER = 1_920  # which the released code leaves trained


@pytest.mark.parametrize(
    ("name", "point", "trained", "total"),
    [
        ("ir152", "body_46", 17_827_176 - INPUT_LAYER, 62_599_848),
        ("facenet64", "body_5", 34_393_832 - INPUT_LAYER, 35_437_224),
        ("facenet112", "none", 44_087_976, 44_087_976),
    ],
)
def test_weights_as_published(name, point, trained, total):
    with torch.device("meta"):
        classifier = ARCHITECTURES[name].build(1000, 112 if name == "facenet112" else 64)
    freeze(classifier, point)
    counts = count_parameters(classifier)
    assert (counts.trained, counts.total) == (trained, total)
    assert sum(weight.numel() for weight in classifier.stages["input_layer"].parameters()) == INPUT_LAYER


def test_the_map_is_halved_four_times():
    classifier = ARCHITECTURES["facenet64"].build(3, 64).eval()
    x, sides = torch.rand(2, 3, 64, 64), {}
    with torch.no_grad():
        for name, stage in classifier.stages.items():
            x = stage(x)
            sides[name] = x.shape[2]
    assert [sides[name] for name in ("input_layer", "body_0", "body_3", "body_7", "body_21")] == [
        64,
        32,
        16,
        8,
        4,
    ]
    assert [sides[name] for name in ("body_2", "body_6", "body_20", "body_23")] == [32, 16, 8, 4]
    assert classifier.hooks == ("input_layer", "body_2", "body_6", "body_20", "neck")


def test_the_evaluator_takes_112_pixels_alone():
    with pytest.raises(ConfigError, match=r"facenet112 expects images of 112 pixels; got 64 \(image_size\)"):
        ARCHITECTURES["facenet112"].check_size(64)


def test_names_of_published_backbones():
    with torch.device("meta"):
        stages = ARCHITECTURES["ir152"].build(2, 64).stages.state_dict()
    names = {checkpoint_key(key) for key in stages}
    assert len(names) == len(stages)
    for name in (
        "input_layer.0.weight",
        "input_layer.2.weight",
        "body.0.res_layer.1.weight",
        "body.3.shortcut_layer.0.weight",
        "body.3.shortcut_layer.1.running_mean",
        "body.49.res_layer.4.bias",
    ):
        assert name in names
