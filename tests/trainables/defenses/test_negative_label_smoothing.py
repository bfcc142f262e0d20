"""Negative label smoothing against the authors' schedules, and in a training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.datasets.base import Images
from trainables.defenses.negative_label_smoothing import NegativeLabelSmoothing
from trainables.defenses.smoothed_labels import smoothed
from trainables.runtime.run import Run
from trainables.training.classifier import Target, build_classifier, train_classifier

GOLDEN = Path(__file__).parents[2] / "golden" / "10a_negls_a.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def test_the_loss_is_that_of_the_full_smoothing():
    logits, labels = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2])
    for alpha in (-1.5, -0.05, 0.0, 0.3):
        loss = NegativeLabelSmoothing(alpha=alpha).loss(logits, labels, torch.zeros(5, 3, 1, 1), {})
        assert torch.equal(loss, smoothed(logits, labels, alpha))


def test_authors_schedules(golden):
    for epochs in (100, 80):
        alpha = golden["schedule_final_alpha"].item()
        defense = NegativeLabelSmoothing(alpha=alpha, warmup=50 / epochs, full=75 / epochs)
        ours = [defense.alpha_in(epoch, epochs) for epoch in range(1, epochs + 1)]
        assert np.allclose(ours, golden[f"schedule_alpha_E{epochs}"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 12, 101])
@pytest.mark.parametrize(("warmup", "full"), [(0, 0), (0, 1), (0.5, 0.75), (0.9, 0.9), (1, 1)])
def test_the_last_epoch_has_it_all_whatever_the_schedule(epochs, warmup, full):
    defense = NegativeLabelSmoothing(warmup=warmup, full=full)
    amounts = [defense.alpha_in(epoch, epochs) for epoch in range(1, epochs + 1)]
    assert amounts[-1] == defense.alpha
    assert amounts == sorted(amounts, reverse=True)
    assert (warmup, full) != (0, 0) or set(amounts) == {defense.alpha}


def test_a_training_follows_the_schedule_and_chooses_among_the_defended_epochs(monkeypatch):
    seen = []

    def watching(logits, labels, alpha):
        seen.append(alpha)
        return smoothed(logits, labels, alpha)

    monkeypatch.setattr("trainables.defenses.negative_label_smoothing.smoothed", watching)
    labels = torch.arange(4).repeat_interleave(4)
    pixels = torch.randint(0, 256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    names, files = tuple("abcd"), tuple(map(str, range(16)))
    images = Images(pixels=pixels.to(torch.uint8), labels=labels, names=names, files=files)
    classifier = build_classifier("small_cnn", 4, 32, "none", seed=0)
    recipe = Target(architecture="small_cnn", epochs=8, batch_size=8)
    defense = NegativeLabelSmoothing(alpha=-0.2)
    trained = train_classifier(classifier, recipe, defense, images, images, run=Run(seed=0))
    ramp = [0.0] * 4 + [-0.2 / 4, -0.2 * 2 / 4] + [-0.2] * 2
    assert seen == pytest.approx([alpha for alpha in ramp for _ in range(2)])
    assert trained.best_epoch in (7, 8)


@pytest.mark.parametrize("knobs", [{"alpha": 1.0}, {"warmup": -0.1}, {"full": 1.1}, {"warmup": 0.8}])
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        NegativeLabelSmoothing(**knobs)
