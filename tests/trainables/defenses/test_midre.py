"""MIDRE's squares: one in each image, as large and as placed as published, before whatever is frozen."""

import pytest
import torch
from torch.nn import functional

from trainables.architectures.head_noise import head_noise
from trainables.datasets.base import Images
from trainables.defenses.midre import COPIES, FILL, MIDRE, draw_squares, erase
from trainables.defenses.rule import Batch, Training
from trainables.training.classifier import build_classifier
from trainables.training.freeze import freeze


def test_the_fill_is_imagenets_mean_put_in_at_half_scale():
    assert pytest.approx([(value - 0.5) / 0.5 for value in FILL]) == [0.485, 0.456, 0.406]


def test_an_erased_image_lacks_one_square():
    images = torch.rand(7, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    squares = draw_squares(7, 20, 0.1, 0.8, torch.Generator().manual_seed(1))
    expected = images.clone()
    for image, (top, left, side) in zip(expected, squares.tolist(), strict=True):
        image[:, top : top + side, left : left + side] = torch.tensor(FILL).view(3, 1, 1)
    assert torch.equal(erase(images, squares), expected)
    assert not torch.equal(expected, images)


@pytest.mark.parametrize("size", [32, 33, 224])
@pytest.mark.parametrize(("low", "high"), [(0.1, 0.4), (0.1, 0.8), (0.0, 1.0), (0.3, 0.3)])
def test_squares_are_drawn_as_published(size, low, high):
    """Shares of the area are uniform, and every place inside the image is as likely."""
    count = 20_000
    top, left, side = draw_squares(count, size, low, high, torch.Generator().manual_seed(2)).unbind(1)
    assert top.min() >= 0 and left.min() >= 0 and (top + side).max() <= size and (left + side).max() <= size
    # the side is a rounded root, so that the share's distribution function is met within half a pixel
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        pixel = size * (low + (high - low) * quantile) ** 0.5
        assert (side < pixel - 0.5).double().mean() <= quantile + 0.02
        assert (side <= pixel + 0.5).double().mean() >= quantile - 0.02
    places = (size - side).double()
    moving = places > 0
    for offset in (top, left):
        assert (offset.double() - places / 2)[moving].mean().abs() < 0.02 * size
    if high > low:
        middle = (size - side) // 2
        assert (top != middle)[moving].double().mean() > 0.5  # at no fixed place
        assert torch.corrcoef(torch.stack((top, left)).double()[:, moving])[0, 1] < 0.9


def steps(point: str) -> tuple[list[torch.Tensor], torch.Tensor, list[torch.Tensor]]:
    """Return the images that the first stage saw in two steps, the batch's, and what the loss was."""
    classifier = build_classifier("small_cnn", 4, 32, "none", seed=0)
    frozen = freeze(classifier, point)
    labels = torch.arange(4).repeat_interleave(2)
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    data = Images(
        pixels=(255 * images).to(torch.uint8), labels=labels, names=tuple("abcd"), files=tuple("x" * 8)
    )
    optimizer = torch.optim.SGD([p for p in classifier.parameters() if p.requires_grad], lr=0.1)
    training = Training(
        classifier=classifier, optimizer=optimizer, frozen=frozen, epochs=1, images=data, seed=5
    )
    seen, first = [], next(iter(classifier.stages.values()))
    first.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    rule = MIDRE(area=0.8).begin(training)
    batch = Batch(index=torch.arange(8), images=images, labels=labels, inputs=torch.full((1,), torch.nan))
    losses = []
    for _ in range(2):
        loss, logits = rule.step(batch, 1)
        losses.append(loss - functional.cross_entropy(logits, labels))
    return seen, images, losses


@pytest.mark.parametrize("point", ["none", "conv3"])
def test_every_step_erases_anew_before_the_first_stage_frozen_or_not(point):
    seen, images, losses = steps(point)
    fill = torch.tensor(FILL).view(1, 3, 1, 1)
    for view in seen:
        gone = (view == fill).all(1)
        assert ((view == images).all(1) | gone).all()
        share = gone.flatten(1).double().mean(1)
        assert (share > 0.08).all() and (share < 0.82).all()
    assert not torch.equal(*seen)
    assert all(loss.abs() < 1e-6 for loss in losses)
    again, _, _ = steps(point)
    assert all(torch.equal(a, b) for a, b in zip(seen, again, strict=True))


def test_one_who_knows_of_the_squares_averages_over_copies_without_some():
    defense = MIDRE(area=0.7, smallest=0.3)
    classifier = build_classifier("small_cnn", 4, 32, "none", seed=0).eval()
    adapted = defense.adapted(classifier, {})
    seen, first = [], next(iter(adapted.stages.values()))
    first.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    drawn = torch.randn(3, adapted.noise_size, generator=torch.Generator().manual_seed(1))
    with head_noise(adapted, drawn):
        logits = adapted(images)
    copies = seen[0].reshape(3, COPIES, 3, 32, 32)
    gone = (copies == torch.tensor(FILL).view(3, 1, 1)).all(2)
    assert ((copies == images[:, None]).all(2) | gone).all()
    shares = gone.flatten(2).double().mean(2)
    assert shares.min() > 0.25 and shares.max() < 0.75 and len(set(shares.flatten().tolist())) > COPIES
    expected = torch.stack([classifier(copies[:, number]) for number in range(COPIES)]).mean(0)
    assert torch.allclose(logits, expected, atol=1e-5)
    assert not torch.allclose(logits, classifier(images), atol=1e-4)


@pytest.mark.parametrize(
    "knobs", [{"area": 0.05}, {"area": 1.1}, {"smallest": -0.1}, {"area": 0, "smallest": 0}]
)
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        MIDRE(**knobs)
