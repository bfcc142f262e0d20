"""MID's head and loss against the authors' run and an anchor, and its noise under the caller's control."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.defenses.mid import MID, BottleneckHead, divergence
from trainables.errors import ConfigError
from trainables.training.classifier import build_classifier

GOLDEN = Path(__file__).parents[2] / "golden" / "09_mid_vib_a.npz"


def test_authors_loss_and_gradients():
    with np.load(GOLDEN) as arrays:
        golden = {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
    rows, features = golden["feature"].shape
    classes, bottleneck = golden["fc_layer_weight"].shape
    head = BottleneckHead(features, classes, bottleneck)
    recorded = {
        "st_layer_weight": head.encode.weight,
        "st_layer_bias": head.encode.bias,
        "fc_layer_weight": head.classify.weight,
        "fc_layer_bias": head.classify.bias,
    }
    with torch.no_grad():
        for name, weight in recorded.items():
            weight.copy_(golden[name])
    classifier = Classifier({"all": nn.Identity()}, nn.Identity(), head)
    feature = golden["feature"].clone().requires_grad_()
    trace = {}
    with head_noise(classifier, golden["eps"]):
        logits = classifier.head(classifier.neck(feature), trace)
    defense = MID(beta=golden["beta"].item(), bottleneck=bottleneck)
    loss = defense.loss(logits, golden["y"], torch.zeros(rows, 3, 1, 1), trace)
    loss.backward()
    found = {
        "mu": trace["mu"],
        "sigma": trace["sigma"],
        "logits": logits,
        "loss": loss,
        "grad_feature": feature.grad,
        **{f"grad_{name}": weight.grad for name, weight in recorded.items()},
    }
    for name, value in found.items():
        assert torch.allclose(value.detach(), golden[name], rtol=1e-5, atol=1e-6), name


def test_divergence_anchor():
    mu = torch.tensor([[0.5, -1.0], [0.0, 2.0]], dtype=torch.float64)
    raw = torch.tensor([[5.0, 6.0], [4.0, 5.0]], dtype=torch.float64)
    sigma = nn.functional.softplus(raw - 5)
    assert sigma.flatten().tolist() == pytest.approx(
        [0.693147180560, 1.313261687518, 0.313261687518, 0.693147180560], rel=1e-11
    )
    assert divergence(mu, sigma).item() == pytest.approx(1.81903796118, rel=1e-11)
    assert divergence(torch.zeros(3, 2), torch.ones(3, 2)).item() == 0


def test_noise_is_drawn_in_eval_mode_too():
    classifier = MID(bottleneck=8).prepare(build_classifier("small_cnn", 4, 32, "none", 0)).eval()
    images = torch.rand(3, 3, 32, 32)
    assert classifier.noise_size == 8
    assert not torch.equal(classifier(images), classifier(images))


def test_lent_noise_makes_rows_independent_of_the_batch():
    classifier = MID(bottleneck=8).prepare(build_classifier("small_cnn", 4, 32, "none", 0)).eval()
    images, noise = torch.rand(5, 3, 32, 32), torch.randn(5, 8)
    with head_noise(classifier, noise):
        together = classifier(images)
    for row in range(5):
        with head_noise(classifier, noise[row : row + 1]):
            alone = classifier(images[row : row + 1])
        assert torch.allclose(alone[0], together[row], atol=1e-5)


def test_one_who_knows_of_the_noise_has_the_mean_over_all_draws():
    defense = MID(bottleneck=8)
    classifier = defense.prepare(build_classifier("small_cnn", 4, 32, "none", 0)).eval()
    with torch.no_grad():
        classifier.head.encode.bias[8:] += 5  # a standard deviation near 0.7
    adapted = defense.adapted(classifier, {})
    assert (adapted.noise_size, classifier.noise_size) == (0, 8)
    images, noise = torch.rand(3, 3, 32, 32), torch.randn(5000, 8)
    for row in range(3):
        with head_noise(classifier, torch.cat((noise, -noise))), torch.no_grad():
            drawn = classifier.head(classifier.features(images[row : row + 1]).expand(10_000, -1))
        assert drawn.std(0).min() > 0.05
        assert torch.allclose(adapted(images)[row], drawn.mean(0), atol=1e-4)


def test_prepare_replaces_head_and_drops_the_batch_norm_of_vgg():
    with torch.device("meta"):
        from trainables.architectures.vgg16_bn import build

        classifier = MID(bottleneck=1024).prepare(build(1000, 64))
    assert not any(isinstance(layer, nn.BatchNorm1d) for layer in classifier.modules())
    assert classifier.head.encode.in_features == 2048
    assert classifier.head.encode.out_features == 2048
    assert classifier.head.classify.out_features == 1000


def test_prepare_wants_a_fresh_classifier():
    once = MID(bottleneck=8).prepare(build_classifier("small_cnn", 4, 32, "none", 0))
    with pytest.raises(ConfigError, match="BottleneckHead"):
        MID(bottleneck=8).prepare(once)


@pytest.mark.parametrize("knobs", [{"beta": -1}, {"bottleneck": 0}])
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        MID(**knobs)
