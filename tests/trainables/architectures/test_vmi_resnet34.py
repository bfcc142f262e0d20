"""VMI's ResNet-34: the published number of weights, and what BiDO hooks of it."""

import torch

from trainables.architectures.vmi_resnet34 import build
from trainables.training.freeze import count_parameters, freeze


def test_weights_as_published():
    with torch.device("meta"):
        classifier = build(1000, 64)
    layer1 = sum(weight.numel() for n in range(3) for weight in classifier.stages[f"layer1_{n}"].parameters())
    stem = sum(weight.numel() for weight in classifier.stages["stem"].parameters())
    assert count_parameters(classifier).total == 21_362_446
    assert count_parameters(classifier).total - layer1 == 21_140_494  # published: layer1 alone is frozen
    freeze(classifier, "layer1_2")
    assert count_parameters(classifier).trained == 21_140_494 - stem


def test_bido_hooks_the_latent_before_and_after_its_norm():
    classifier, trace = build(3, 64).eval(), {}
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        classifier(images, trace=trace)
        pooled = classifier.run(images, 0, len(classifier.stages) - 1).mean((2, 3))
        layers = classifier.stages["latent"]
        latent = layers[4](layers[3](pooled.clamp_min(0)))
        feature = classifier.neck[1](latent.clamp_min(0))
    assert list(trace) == ["stem", "layer1_2", "layer2_3", "layer3_5", "layer4_2", "latent", "neck"]
    assert torch.allclose(trace["latent"], latent, atol=1e-6)
    assert torch.allclose(trace["neck"], feature, atol=1e-6)
    assert feature.shape == (2, 50)
