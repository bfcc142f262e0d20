"""The evaluation classifier: what it learns, what it sees, what it is asked for."""

from dataclasses import replace

import pytest
import torch

from trainables.datasets.base import Images
from trainables.datasets.split import Split, split
from trainables.errors import ConfigError
from trainables.judges.classifier import ClassifierJudge
from trainables.runtime.run import Run


def stripes() -> Split:
    """Two identities that only the direction of their stripes tells apart, at any phase and brightness."""
    generator = torch.Generator().manual_seed(0)
    pixels = []
    for number in range(48):
        wave = (torch.arange(32) + number) % 8 < 4
        image = wave.expand(32, 32) if number % 2 else wave.expand(32, 32).T
        level = 60 + torch.randint(0, 80, (), generator=generator)
        pixels.append((image * level).expand(3, 32, 32).to(torch.uint8))
    images = Images(
        pixels=torch.stack(pixels),
        labels=torch.arange(48) % 2,
        names=("lying", "status"),
        files=tuple(f"{number}.png" for number in range(48)),
    )
    return split(images)


def test_learns_to_tell_identities_apart():
    data = stripes()
    judge = ClassifierJudge(architecture="small_cnn", epochs=12, batch_size=8)
    saved = judge.fit(data, run=Run(seed=0))
    model = judge.restore(saved, data, "cpu")
    assert model.test_accuracy == 1.0
    assert model.features(torch.rand(2, 3, 32, 32)).shape == (2, 128)


def test_enlarges_what_it_sees():
    data = stripes()
    judge = ClassifierJudge(architecture="small_cnn", epochs=1, batch_size=16, input_size=48)
    saved = judge.fit(data, run=Run(seed=0))
    model = judge.restore(saved, data, "cpu")
    plain = ClassifierJudge(architecture="small_cnn").restore(saved, data, "cpu")
    images = torch.rand(2, 3, 32, 32)
    large = torch.nn.functional.interpolate(images, size=(48, 48), mode="bilinear")
    torch.testing.assert_close(model.logits(images), plain.logits(large))


def test_smooths_what_shrinks():
    """Else it sees a few pixels of many, and fine patterns as others that are not there."""
    data = stripes()
    judge = ClassifierJudge(architecture="small_cnn", epochs=1, batch_size=16)
    saved = judge.fit(data, run=Run(seed=0))
    small = replace(judge, input_size=32).restore(saved, data, "cpu")
    plain = judge.restore(saved, data, "cpu")
    large = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    truth = torch.nn.functional.interpolate(large, size=(32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(small.logits(large), plain.logits(truth))


def test_unknown_architecture():
    with pytest.raises(ConfigError, match=r"one of .*small_cnn.*got 'small_cn'"):
        ClassifierJudge(architecture="small_cn").fit(stripes(), run=Run(seed=0))


@pytest.mark.parametrize("knob", ["epochs", "batch_size", "learning_rate", "input_size"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        ClassifierJudge(architecture="small_cnn", **{knob: 0})


def test_any_architecture_of_a_library_may_judge(tmp_path):
    data = stripes()
    judge = ClassifierJudge(architecture="torchvision:shufflenet_v2_x0_5", epochs=1, batch_size=16)
    torch.save(judge.fit(data, run=Run(seed=0)), tmp_path / "judge.pt")
    saved = torch.load(tmp_path / "judge.pt", weights_only=True)
    model = judge.restore(saved, data, "cpu")
    with torch.no_grad():
        features = model.features(data.train.pixels / 255)
    assert torch.allclose(features, saved["train_features"], atol=1e-5)


@pytest.mark.parametrize(
    ("knobs", "place"),
    [
        ({"input_size": 64}, r"got 64 \(judge.input_size\)"),
        ({}, r"got 64 \(image_size, and no judge.input_size\)"),
    ],
)
def test_a_size_that_the_architecture_does_not_take_is_named(knobs, place):
    ClassifierJudge(architecture="facenet112", input_size=112).check_size(64)
    with pytest.raises(ConfigError, match=rf"facenet112 expects images of 112 pixels; {place}"):
        ClassifierJudge(architecture="facenet112", **knobs).check_size(64)
