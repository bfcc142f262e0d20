"""RoLSS, SSF and TTS: which skips they scale, when, and for which networks."""

import pytest
import torch
from torch.nn import functional

from trainables.architectures import ARCHITECTURES
from trainables.architectures.base import Classifier
from trainables.architectures.skips import ScaledShortcut
from trainables.datasets.base import Images
from trainables.defenses.rolss import RoLSS
from trainables.defenses.skip_removal import SkipRemoval
from trainables.defenses.ssf import SSF
from trainables.defenses.tts import TTS
from trainables.errors import ConfigError
from trainables.runtime.run import Run
from trainables.training.classifier import Target, build_classifier, train_classifier


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


def test_the_last_block_computes_what_is_published():
    classifier = SSF(factor=0.3).prepare(build_classifier("small_resnet", 3, 32, "none", 0)).eval()
    images = torch.rand(2, 3, 32, 32)
    x = classifier.run(images, 0, 4)
    last = classifier.stages["block4"]
    conv, norm = last.shortcut[0], last.shortcut[1]
    expected = torch.relu(last.path(x) + 0.3 * norm(conv(x)))
    assert torch.allclose(classifier.run(images), expected, atol=1e-6)


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


@pytest.mark.parametrize(("point", "during"), [("none", [1, 1, 1, 1]), ("block4", [1, 1, 1, 0])])
def test_skips_go_after_the_recipe_and_of_frozen_stages_at_once(point, during):
    labels = torch.arange(4).repeat_interleave(4)
    pixels = torch.randint(0, 256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    names, files = tuple("abcd"), tuple(map(str, range(16)))
    images = Images(pixels=pixels.to(torch.uint8), labels=labels, names=names, files=files)
    defense = TTS(second_epochs=2)
    classifier = defense.prepare(build_classifier("small_resnet", 4, 32, "none", seed=0))
    seen = []
    classifier.head.register_forward_pre_hook(
        lambda module, _: seen.append((module.training, factors(classifier)))
    )
    recipe = Target(architecture="small_resnet", epochs=3, batch_size=16, freeze_point=point)
    trained = train_classifier(classifier, recipe, defense, images, images, run=Run(seed=0))
    steps = [found for training, found in seen if training]
    assert steps == [during] * 3 + [[1, 1, 1, 0]] * 2
    assert trained.best_epoch > 3
    assert factors(classifier) == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("kind", "knobs"),
    [
        (RoLSS, {"skips": (1, -0.1)}),
        (TTS, {"skips": (1.5,)}),
        (SSF, {"factor": 1.1}),
        (SSF, {"skips": (2,)}),
        (TTS, {"second_epochs": 0}),
    ],
)
def test_impossible_knobs(kind: type[SkipRemoval], knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        kind(**knobs)
