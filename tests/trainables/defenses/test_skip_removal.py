"""What RoLSS, SSF and TTS share: which skips they scale, and for which networks."""

import pytest
import torch
from torch.nn import functional

from trainables.architectures import ARCHITECTURES
from trainables.architectures.base import Classifier
from trainables.architectures.skips import ScaledShortcut
from trainables.defenses.rolss import RoLSS
from trainables.defenses.skip_removal import SkipRemoval
from trainables.defenses.ssf import SSF
from trainables.defenses.tts import TTS
from trainables.errors import ConfigError
from trainables.training.classifier import build_classifier


def factors(classifier: Classifier) -> list[float]:
    """Return the factor of each block that has a shortcut."""
    return [module.factor for module in classifier.modules() if isinstance(module, ScaledShortcut)]


@pytest.mark.parametrize(
    ("defense", "expected"),
    [
        (RoLSS(), [1, 1, 1, 0]),
        (SSF(), [1, 1, 1, 0.6]),
        (SSF(factor=0.2), [1, 1, 1, 0.2]),
        (TTS(), [1, 1, 1, 0]),
        (RoLSS(skips=(0, 1, 0.5, 1)), [0, 1, 0.5, 1]),
        (SSF(skips=(0, 1, 0.5, 1)), [0, 1, 0.5, 1]),
    ],
)
@pytest.mark.parametrize(("architecture", "blocks"), [("small_resnet", 1), ("resnet18", 2)])
def test_groups_are_scaled_as_asked(defense, expected, architecture, blocks):
    classifier = defense.prepare(build_classifier(architecture, 3, 32, "none", 0))
    assert factors(classifier) == [factor for factor in expected for _ in range(blocks)]


@pytest.mark.parametrize("kind", [RoLSS, SSF, TTS])
def test_networks_that_do_not_fit_are_named(kind):
    with pytest.raises(ConfigError, match=r"skip connections.*target.architecture"):
        kind().prepare(build_classifier("small_cnn", 3, 32, "none", 0))
    with pytest.raises(ConfigError, match=r"skip connections.*target.architecture"):
        kind().check(ARCHITECTURES["vgg16_bn"], 32)
    with pytest.raises(ConfigError, match=r"expects 4 factors.*layer1_0, layer2_0.*got 3"):
        kind(skips=(1, 1, 0)).check(ARCHITECTURES["resnet18"], 32)
    kind(skips=(1,) * 12).check(ARCHITECTURES["vit_b_16"], 32)


def test_a_trial_says_so_before_any_work():
    from trainables.config import load_trial

    rest = {"kind": "synthetic_faces", "identities": 4, "images_per_identity": 8}
    document = {
        "image_size": 32,
        "private": {**rest, "population": "private"},
        "public": {**rest, "population": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn"},
        "defense": {"kind": "rolss"},
        "prior": {"kind": "gmi"},
        "attack": {"kind": "gmi"},
        "judge": {"kind": "classifier", "architecture": "small_cnn"},
    }
    with pytest.raises(ConfigError, match="'rolss' expects an architecture with skip connections"):
        load_trial(document)
    document["target"] = {"architecture": "small_resnet"}
    document["defense"] = {"kind": "rolss", "skips": [1, 1, 0.5, 0]}
    assert load_trial(document).defense == RoLSS(skips=(1, 1, 0.5, 0))


def test_the_loss_is_the_cross_entropy():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    expected = functional.cross_entropy(logits, labels)
    for kind in (RoLSS, SSF, TTS):
        assert torch.equal(kind().loss(logits, labels, torch.zeros(5, 3, 1, 1), {}), expected)


@pytest.mark.parametrize(
    ("kind", "knobs"),
    [
        (RoLSS, {"skips": (1, -0.1)}),
        (TTS, {"skips": (1.5,)}),
        (SSF, {"skips": (2,)}),
    ],
)
def test_impossible_knobs(kind: type[SkipRemoval], knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        kind(**knobs)
