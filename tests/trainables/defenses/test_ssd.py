"""SSD's answers: anchors, the least divergence within the bound, and one answer for one picture."""

import pytest
import torch
import toy_networks as toys

from trainables.datasets.base import as_float
from trainables.defenses.ssd import SSD, StealthyShield, entropy, nearest
from trainables.errors import ConfigError

F = torch.tensor([[0.7, 0.2, 0.06, 0.04]], dtype=torch.float64)
Q = torch.tensor([[0.4, 0.3, 0.2, 0.1]], dtype=torch.float64)


def divergence(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return torch.special.xlogy(p, p / q).sum(1)


def random_rows(rows: int, classes: int, sharpness: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(rows, classes, generator=generator, dtype=torch.float64)).softmax(1)


@pytest.mark.parametrize(
    ("bound", "answer", "left"),
    [
        (0.2, (0.6, 0.2, 0.13333333, 0.06666667), 0.0810930216),
        (0.5, (0.45, 0.275, 0.18333333, 0.09166667), 0.0051461087),
        (1.0, (0.4, 0.3, 0.2, 0.1), 0.0),
    ],
)
def test_anchors(bound, answer, left):
    moved = nearest(F, Q, torch.tensor([bound], dtype=torch.float64))
    assert moved[0].tolist() == pytest.approx(answer, abs=1e-8)
    assert divergence(moved, Q).item() == pytest.approx(left, abs=1e-9)


def test_entropy_anchor():
    assert entropy(F).item() == pytest.approx(0.86911972, abs=1e-8)
    assert entropy(torch.tensor([[1.0, 0.0]])).item() == 0


@pytest.mark.parametrize("classes", [2, 5, 40])
def test_no_answer_within_the_bound_is_nearer(classes):
    """KL is convex: it is enough that no small step that stays within the bound lowers it."""
    f, q = random_rows(60, classes, 2.0, 0), random_rows(60, classes, 1.0, 1)
    bound = torch.rand(60, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    p = nearest(f, q, bound)
    assert torch.allclose(p.sum(1), torch.ones(60, dtype=torch.float64))
    distance, whole = (p - f).abs().sum(1), (q - f).abs().sum(1)
    assert torch.allclose(distance, torch.minimum(bound, whole))
    least = divergence(p, q)
    for seed in range(200):  # towards other answers that are within the bound
        other = random_rows(60, classes, 3.0, 10 + seed)
        share = (bound / (other - f).abs().sum(1)).clamp(max=1)[:, None]
        other = f + share * (other - f)
        for step in (1e-3, 1.0):
            assert (divergence(p + step * (other - p), q) >= least - 1e-12).all()


def test_no_bound_is_no_change_and_zeros_are_no_trouble():
    f = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    q = torch.tensor([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    assert torch.allclose(nearest(f, q, torch.zeros(2)), f)
    moved = nearest(f, q, torch.tensor([0.4, 0.4]))
    assert moved.isfinite().all() and torch.allclose(moved.sum(1), torch.ones(2))
    assert torch.allclose((moved - f).abs().sum(1), torch.tensor([0.4, 0.4]))


def test_labels_are_drawn_from_the_softmax_at_the_temperature():
    shield = StealthyShield(torch.eye(4), temperature=0.3, epsilon=1.0)
    uniform = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    drawn = shield.draw(F.expand(4000, -1), uniform)
    truth = (F[0] / 0.3).softmax(0)
    assert torch.allclose(drawn.bincount(minlength=4).double() / 4000, truth, atol=1e-3)


def test_the_last_number_below_one_still_draws_a_label():
    """Running sums of chances may end a little below it."""
    rows = random_rows(2000, 7, 1.0, 3)
    shield = StealthyShield(torch.eye(7), temperature=1.0, epsilon=1.0)
    ends = (rows / 1.0).softmax(1).cumsum(1)[:, -1]
    last = torch.full((2000,), 1 - 2**-53, dtype=torch.float64)
    assert (ends <= last).any()  # else this says nothing
    assert shield.draw(rows, last).unique().tolist() == [6]


def shielded(**knobs) -> tuple:
    classifier, images = toys.target(toys.prior("gmi")), toys.colours(per_identity=8)
    stored = SSD(**knobs).finish(classifier, images, {}, "cpu")
    pixels = as_float(images.pixels)
    with torch.no_grad():
        probabilities = classifier(pixels).softmax(1)
    return SSD(**knobs).shield(stored), stored, probabilities, pixels, images


def test_means_are_those_of_the_validation_images_of_an_identity():
    _, stored, probabilities, _, images = shielded()
    truth = torch.stack([probabilities[images.labels == y].double().mean(0) for y in range(toys.CLASSES)])
    assert torch.allclose(stored["means"], truth, atol=1e-6)


def test_one_picture_has_one_answer_whatever_stands_beside_it():
    shield, _, probabilities, pixels, _ = shielded(temperature=5.0)
    answers = shield(probabilities, pixels)
    order = torch.randperm(len(pixels))
    assert torch.equal(shield(probabilities[order], pixels[order]), answers[order])
    assert torch.equal(shield(probabilities[3:4], pixels[3:4]), answers[3:4])
    nudged = (pixels + 1 / 255).clamp(0, 1)  # another picture, though it looks the same
    assert not torch.equal(shield(probabilities, nudged), answers)
    drawn = {tuple(row) for row in shield(probabilities[:1].expand(40, -1), pixels).tolist()}
    assert len(drawn) > 1


def test_a_picture_is_what_eight_bits_of_it_show():
    """A reconstruction is no file: between two levels it counts as the nearer, beyond the ends as the end."""
    shield, _, _, pixels, _ = shielded(temperature=5.0)
    answers, poster = random_rows(len(pixels), toys.CLASSES, 1.0, 0), pixels.round()
    for shown, changed in (
        (pixels, pixels + 0.4 / 255),
        (pixels, pixels - 0.4 / 255),
        (poster, 3 * poster - 1),
    ):
        assert torch.equal(shield(answers, changed), shield(answers, shown))
    assert not torch.equal(shield(answers, pixels + 0.6 / 255), shield(answers, pixels))


def test_answers_keep_to_the_bound():
    shield, _, probabilities, pixels, _ = shielded(epsilon=0.3)
    moved = (shield(probabilities, pixels) - probabilities).abs().sum(1)
    assert (moved <= 0.3 * entropy(probabilities) + 1e-6).all() and moved.max() > 0
    same, _, probabilities, pixels, _ = shielded(epsilon=0)
    assert torch.allclose(same(probabilities, pixels), probabilities, atol=1e-6)


def test_identities_without_validation_images_are_named():
    images = toys.colours(identities=toys.CLASSES - 1)
    with pytest.raises(ConfigError, match="got none of 1 of 5"):
        SSD().finish(toys.target(), images, {}, "cpu")


@pytest.mark.parametrize("knobs", [{"temperature": 0}, {"epsilon": -1}, {"epsilon": float("inf")}])
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        SSD(**knobs)
