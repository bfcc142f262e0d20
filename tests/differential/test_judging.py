"""Judges and metrics against definitions written out, on classes of unequal size."""

import math

import numpy as np
import pytest
import torch
import toy_networks as toys
from torch.nn import functional

from trainables.architectures.small_cnn import build as small_cnn
from trainables.datasets.split import Split
from trainables.judges.classifier import ClassifierJudge
from trainables.judges.embedder import EmbedderJudge
from trainables.metrics.attack_accuracy import attack_accuracy, interval95, restart_std
from trainables.metrics.knn_distance import knn_distance
from trainables.nn.mobilefacenet import MobileFaceNet
from trainables.runtime.run import Run


def test_knn_distance_over_unbalanced_classes():
    """Every fake counts once: a mean over classes would be another figure."""
    g = np.random.default_rng(0)
    fake, real = g.normal(size=(9, 4)), g.normal(size=(12, 4))
    fake_labels = np.array([2, 0, 0, 0, 0, 0, 2, 1, 0])
    real_labels = np.array([0, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1])
    nearest = [
        min(((a - b) ** 2).sum() for b, other in zip(real, real_labels, strict=True) if other == label)
        for a, label in zip(fake, fake_labels, strict=True)
    ]
    values = np.array(nearest)
    by_class = np.mean([values[fake_labels == label].mean() for label in range(3)])
    assert abs(by_class - np.mean(nearest)) > 0.1
    tensors = (torch.from_numpy(a) for a in (fake, fake_labels, real, real_labels))
    assert knn_distance(*tensors) == pytest.approx(np.mean(nearest), rel=1e-12)


def test_attack_accuracy():
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 7, 9, generator=g)
    identities = torch.tensor([8, 0, 3, 3, 5, 1, 2])
    logits[:, :4].scatter_add_(2, identities[:4].expand(3, 4)[..., None], torch.full((3, 4, 1), 2.0))
    places = [
        [
            sorted(row.tolist(), reverse=True).index(row[label])
            for row, label in zip(part, identities, strict=True)
        ]
        for part in logits
    ]
    first = np.array(places) == 0
    found = attack_accuracy(logits, identities, group=3)
    assert found.top1 == pytest.approx(first.mean()) and 0 < found.top1 < 1
    assert found.top5 == pytest.approx((np.array(places) < 5).mean())
    assert found.per_identity.tolist() == pytest.approx(first.mean(0).tolist())
    parts = [first[:, at : at + 3].mean(1).std(ddof=1) for at in (0, 3, 6)]
    assert found.std == pytest.approx(np.mean(parts))
    assert restart_std(torch.from_numpy(first), 3) == pytest.approx(np.mean(parts))


@pytest.mark.parametrize("restarts", [1, 4])
def test_interval(restarts):
    """Wilson's interval of p = x / n solves (p - q)^2 = z^2 q (1 - q) / n for q."""
    rates = torch.tensor([0.25, 1.0, 0.0, 0.5, 0.75])
    p, count = rates.mean().item(), len(rates)
    effective = p * (1 - p) / (rates.var().item() / count)
    effective = min(max(effective, count), count * restarts)
    for end in interval95(rates, restarts):
        assert (p - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / effective, rel=1e-6)


def test_embedder(tmp_path):
    """Nearest class mean by cosine, of the sum of a face's and its mirror image's embedding."""
    torch.manual_seed(3)
    network = MobileFaceNet()
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    split = Split(train=toys.colours(2), validation=toys.colours(1, seed=1), test=toys.colours(1, seed=2))
    judge = EmbedderJudge(path=str(tmp_path / "weights.pt"))
    fitted = judge.fit(split, run=Run(seed=0))
    model = judge.restore(fitted, split, "cpu")
    network.eval()

    @torch.no_grad()
    def embed(pixels):
        faces = functional.interpolate(pixels.float() / 255, size=(112, 112), mode="bilinear")[..., 8:-8]
        faces = (faces * 255 - 127.5) / 128
        return functional.normalize(network(faces) + network(faces.flip(-1)))

    train = embed(split.train.pixels)
    means = torch.stack([train[split.train.labels == label].sum(0) for label in range(toys.CLASSES)])
    cosines = embed(split.test.pixels) @ functional.normalize(means).T
    with torch.no_grad():
        found = model.logits(split.test.pixels.float() / 255)
    torch.testing.assert_close(found, cosines, rtol=1e-4, atol=1e-4)
    expected = (cosines.argmax(1) == split.test.labels).double().mean().item()
    assert fitted["test_accuracy"] == pytest.approx(expected)


def test_classifier_looks_at_enlarged_images():
    split = toys.parts()
    judge = ClassifierJudge(architecture="small_cnn", epochs=1, input_size=40, normalization="imagenet")
    fitted = judge.fit(split, run=Run(seed=0))
    network = small_cnn(toys.CLASSES, 40)
    network.load_state_dict(fitted["state"])
    network.mean.copy_(torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
    network.std.copy_(torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
    images = split.test.pixels.float() / 255
    enlarged = functional.interpolate(images, size=(40, 40), mode="bilinear")
    with torch.no_grad():
        expected = network.eval()(enlarged)
        found = judge.restore(fitted, split, "cpu").logits(images)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert math.isclose(
        fitted["test_accuracy"], (expected.argmax(1) == split.test.labels).float().mean(), abs_tol=1e-6
    )
