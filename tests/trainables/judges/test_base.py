"""What judges share: a function worked through in parts, and the share of images it names rightly."""

from types import SimpleNamespace

import pytest
import torch

from trainables.datasets.base import Images
from trainables.judges import nearest_mean
from trainables.judges.base import logits_and_features, outputs, top1
from trainables.judges.classifier import ClassifierJudge
from trainables.training.classifier import build_classifier


def red(images: torch.Tensor) -> torch.Tensor:
    """Return the mean red of images in [0, 1], (N, 1)."""
    return images[:, 0].mean((1, 2)).unsqueeze(1)


@pytest.mark.parametrize("size", [1, 4, 10, 256])
def test_parts_give_what_the_whole_gives(size):
    pixels = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).repeat(1, 3, 2, 2)
    seen = []

    def function(images):
        seen.append(len(images))
        return red(images)

    found = outputs(function, pixels, "cpu", size=size)
    torch.testing.assert_close(found, torch.arange(10).view(10, 1) / 255)
    assert sum(seen) == 10 and max(seen) == min(size, 10)


@pytest.mark.parametrize("kind", ["classifier", "nearest mean"])
def test_one_look_gives_logits_and_features(kind, monkeypatch):
    """The same to the bit as a look for each."""
    pixels = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8)
    network = build_classifier("small_cnn", 4, 32, "none", seed=0)
    looks = []
    plain = network.neck.forward
    monkeypatch.setattr(network.neck, "forward", lambda x: looks.append(len(x)) or plain(x))
    if kind == "classifier":
        judge = ClassifierJudge(architecture="small_cnn")
        monkeypatch.setattr(ClassifierJudge, "_network", lambda *_, **__: network)
        saved = {"state": network.state_dict(), "test_accuracy": 1.0}
        model = judge.restore(saved, SimpleNamespace(), "cpu")
    else:
        model = nearest_mean._model(network.features, torch.rand(4, 128), test_accuracy=1.0)
    apart = outputs(model.logits, pixels, "cpu", size=4), outputs(model.features, pixels, "cpu", size=4)
    assert sum(looks) == 20
    looks.clear()
    together = logits_and_features(model, pixels, "cpu", size=4)
    assert sum(looks) == 10 and all(map(torch.equal, together, apart))


def test_outputs_keep_no_gradients():
    weight = torch.ones(1, requires_grad=True)
    pixels = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    assert not outputs(lambda images: red(images) * weight, pixels, "cpu").requires_grad


def test_top1_is_the_share_of_highest_logits_that_are_the_label():
    pixels = torch.zeros(5, 3, 2, 2, dtype=torch.uint8)
    pixels[torch.arange(5), torch.tensor([0, 1, 2, 0, 1])] = 255  # the brightest channel is the guess
    images = Images(
        pixels=pixels,
        labels=torch.tensor([0, 1, 2, 1, 2]),  # three of five are as guessed
        names=("red", "green", "blue"),
        files=tuple("abcde"),
    )
    assert top1(lambda batch: batch.mean((2, 3)), images, "cpu") == pytest.approx(0.6)
