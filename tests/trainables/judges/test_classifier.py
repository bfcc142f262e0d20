"""The evaluation classifier: what it learns, what it sees, what it is asked for."""

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


def test_unknown_architecture():
    with pytest.raises(ConfigError, match=r"one of .*small_cnn.*got 'small_cn'"):
        ClassifierJudge(architecture="small_cn").fit(stripes(), run=Run(seed=0))


@pytest.mark.parametrize("knob", ["epochs", "batch_size", "learning_rate", "input_size"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        ClassifierJudge(architecture="small_cnn", **{knob: 0})
