"""Distances of pictures: VGG16's features, with weights that stand in for the published ones."""

from urllib.error import URLError

import pytest
import torch
from torchvision.models import VGG16_Weights, vgg16

from trainables.attacks.perceptual import Perceptual
from trainables.errors import ConfigError


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return vgg16(weights=None).state_dict()


def test_vgg16_distance_is_that_of_unit_features_after_each_block(weights, monkeypatch):
    monkeypatch.setattr(VGG16_Weights, "get_state_dict", lambda *_, **__: weights)
    images, others = torch.rand(2, 2, 3, 32, 32, generator=torch.manual_seed(1))
    with torch.no_grad():
        distances = Perceptual("vgg16")(images, others)
    network = vgg16(weights=None)
    network.load_state_dict(weights)
    network.eval()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    a, b = (images - mean) / std, (others - mean) / std
    expected = torch.zeros(2)
    with torch.no_grad():
        for layer in network.features:
            if isinstance(layer, torch.nn.MaxPool2d):  # the features before it are a block's last
                unit = [x / x.square().sum(1, keepdim=True).sqrt() for x in (a, b)]
                expected += (unit[0] - unit[1]).square().sum(1).mean((1, 2))
            a, b = layer(a), layer(b)
    torch.testing.assert_close(distances, expected, rtol=1e-4, atol=1e-6)
    assert (distances > 0).all()


def test_pixels():
    images, others = torch.rand(2, 3, 3, 8, 8, generator=torch.manual_seed(1))
    expected = 3 * (images - others).square().mean((1, 2, 3))
    torch.testing.assert_close(Perceptual("pixels")(images, others), expected)


def test_large_pictures_are_averaged_down(weights, monkeypatch):
    monkeypatch.setattr(VGG16_Weights, "get_state_dict", lambda *_, **__: weights)
    small = torch.rand(1, 3, 256, 256, generator=torch.manual_seed(1))
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    with torch.no_grad():
        distance = Perceptual("vgg16")(small, large)
    assert distance.item() < 1e-6


def test_weights_that_cannot_be_had_are_named(monkeypatch):
    def offline(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(VGG16_Weights, "get_state_dict", offline)
    with pytest.raises(ConfigError, match=r"download https.*features.*'pixels'"):
        Perceptual("vgg16")
