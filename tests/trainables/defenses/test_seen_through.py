"""A classifier that is seen through other images: a copy, entered by its images alone."""

import pytest
import torch
from torch import Tensor

from trainables.defenses.seen_through import SeenThrough
from trainables.nn.precision import Precision, apply_precision, precision_scope
from trainables.training.classifier import build_classifier


class Mirrored(SeenThrough):
    """Sees the mirror image."""

    def seen(self, x: Tensor) -> Tensor:
        return self.plain(x.flip(3))


def test_features_and_logits_are_those_of_the_other_images():
    classifier = build_classifier("small_cnn", 4, 32, "imagenet", seed=0).eval()
    mirrored, images = Mirrored(classifier), torch.rand(2, 3, 32, 32)
    assert not mirrored.training and mirrored.noise_size == 0
    assert torch.equal(mirrored.features(images), classifier.features(images.flip(3)))
    assert torch.equal(mirrored(images), classifier(images.flip(3)))
    assert not torch.allclose(mirrored(images), classifier(images), atol=1e-4)
    with pytest.raises(AssertionError):
        mirrored(images, 1)


def test_it_computes_in_the_precision_of_the_attack():
    mirrored = Mirrored(build_classifier("small_cnn", 4, 32, "none", seed=0).eval())
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    exact = mirrored(images)
    with precision_scope(Precision("bfloat16")):
        halved = apply_precision(mirrored, "cpu")
    assert halved(images).dtype == torch.float32
    assert 0 < (halved(images) - exact).abs().max() < 0.05
