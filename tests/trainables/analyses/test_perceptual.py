"""Points whose squared distances are LPIPS in a target's own features."""

import pytest
import torch

from trainables.analyses.layers import Layers
from trainables.analyses.perceptual import mean_points, perceptual_points
from trainables.training.classifier import build_classifier


def lpips(target, one, other):
    """Return the truth: LPIPS with all weights 1, stage by stage and place by place."""
    total = 0.0
    x, y = one, other
    for number in range(len(target.stages) + 1):
        last = number == len(target.stages)
        x, y = (target.neck(z) if last else target.run(z, number, number + 1) for z in (x, y))
        rows = [z[0].movedim(0, -1) if z.ndim == 4 else z[0] for z in (x, y)]  # channels last
        a, b = (row / (row.square().sum(-1, keepdim=True) + 1e-10).sqrt() for row in rows)
        total += (a - b).square().sum(-1).mean().item()
    return total


@pytest.mark.parametrize("architecture", ["small_cnn", "small_resnet", "mobilenet_v2", "vit_b_16"])
def test_squared_distances_are_lpips(architecture):
    size = 224 if architecture == "vit_b_16" else 32
    target = build_classifier(architecture, 3, size, "none", 0).eval()
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = perceptual_points(target, images)
        assert (one - other).square().sum().item() == pytest.approx(
            lpips(target, images[:1], images[1:]), rel=1e-3
        )


def test_the_mean_point_is_that_of_all_images_of_an_identity():
    target = build_classifier("small_cnn", 3, 32, "none", 0).eval()
    pixels = torch.randint(0, 256, (21, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    means = mean_points(target, [pixels, pixels[:2]], "cpu")  # more than one pass takes, and fewer
    with torch.no_grad():
        points = perceptual_points(target, pixels.float() / 255)
    for mean, own in zip(means, (points, points[:2]), strict=True):
        torch.testing.assert_close(mean, own.mean(0))


def test_identities_may_be_worked_through_in_parts(monkeypatch):
    from tests.trainables.analyses.test_layers import LABELS, SAMPLES, pictures, toy, toy_subject

    subject = toy_subject(toy("neck"), pictures(SAMPLES, LABELS))
    whole = Layers().measure(subject)["inversion_lpips"]
    monkeypatch.setattr("trainables.analyses.layers._NUMBERS", 1)
    assert Layers().measure(subject)["inversion_lpips"] == pytest.approx(whole)
