"""Identity losses on logits with known values and gradients, and the Poincaré loss on a recorded trace."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from trainables.nn.identity_losses import (
    IDENTITY_LOSSES,
    IdentityLossName,
    cross_entropy,
    logit,
    max_margin,
    poincare,
)

LOGITS = torch.tensor([[2, -1, 0.5, 0], [0, 3, -2, 1]], dtype=torch.float64)
IDENTITIES = torch.tensor([0, 3])
GOLDEN = Path(__file__).parents[2] / "golden" / "04a_ppa_poincare_a.npz"


def slope(loss, logits=LOGITS, identities=IDENTITIES):
    logits = logits.clone().requires_grad_(True)
    return torch.autograd.grad(loss(logits, identities).sum(), logits)[0]


def close(found, expected, tolerance=1e-6):
    torch.testing.assert_close(found, torch.as_tensor(expected).to(found), atol=tolerance, rtol=0)


def test_cross_entropy_of_known_logits():
    by_hand = LOGITS.exp().sum(1).log() - LOGITS[torch.arange(2), IDENTITIES]
    found = cross_entropy(LOGITS, IDENTITIES)
    torch.testing.assert_close(found, by_hand)
    close(found, [0.34234958, 2.17551536])


def test_cross_entropy_gradient():
    close(slope(cross_entropy)[0], [-0.28990008, 0.03535379, 0.15844471, 0.09610157])


def test_logit_and_max_margin_of_known_logits():
    close(logit(LOGITS, IDENTITIES), [-2, -1])
    close(slope(logit), [[-1, 0, 0, 0], [0, 0, 0, -1]])
    close(max_margin(LOGITS, IDENTITIES), [-1.5, 2])
    close(slope(max_margin), [[-1, 0, 1, 0], [0, 1, 0, -1]])


def test_poincare_of_known_logits():
    close(poincare(LOGITS, IDENTITIES), [9.21029038, 10.44998126])
    close(poincare(LOGITS[:1], IDENTITIES[:1], xi=1e-5), [11.51292047])
    close(poincare(-LOGITS[:1], IDENTITIES[:1]), [11.40751495])
    close(poincare(LOGITS.float(), IDENTITIES), [9.21029038, 10.44998126])
    others = torch.tensor([[9, -3, -3, -3], [9, 0.1, 0.1, 0.1]]).double()
    close(poincare(others, torch.tensor([0, 0])), [9.21029038, 6.08572703])
    for classes in (4, 1000):
        close(poincare(torch.ones(1, classes), torch.tensor([2])), [9.90343755])


def test_poincare_gradient_ignores_scale():
    gradient = slope(poincare)
    close(gradient[0], [-0.42857142, -0.71428571, 0.28571427, 0])
    close((gradient * LOGITS).sum(1), [0, 0])
    for scale in (10, 0.01):
        close(poincare(LOGITS * scale, IDENTITIES), poincare(LOGITS, IDENTITIES))
        close(slope(poincare, LOGITS * scale) * scale, gradient)


@pytest.mark.parametrize(("classes", "least"), [(4, 0.56965046), (530, 0.04347701), (1000, 0.03163886)])
def test_poincare_keeps_its_digits_near_its_least_value(classes, least):
    """Where float32 arithmetic gives 0.0715 for 0.0435."""
    logits = torch.full((1, classes), 1e-4 / (classes - 1), dtype=torch.float64)
    logits[0, 1] = 1 - 1e-4
    identity = torch.tensor([1])
    close(poincare(logits, identity), [least])
    narrow = poincare(logits.float(), identity)
    assert narrow.dtype == torch.float32
    close(narrow, [least], 1e-5)
    gradients = slope(poincare, logits, identity), slope(poincare, logits.float(), identity)
    close(gradients[1], gradients[0].float(), 1e-2 * gradients[0].abs().max().item())


def test_poincare_is_finite_where_the_formula_is_not():
    corners = torch.tensor([[0, 0, 0], [5, 0, 0], [0, -2, 0]]).float()
    for identity in range(3):
        identities = torch.full((3,), identity)
        values, gradient = poincare(corners, identities), slope(poincare, corners, identities)
        assert torch.isfinite(values).all() and torch.isfinite(gradient).all()
    from_nothing = slope(poincare, corners[:1], torch.tensor([1]))[0]
    assert from_nothing[1] < 0 and from_nothing[[0, 2]].tolist() == [0, 0]  # the identity's logit is raised
    right, wrong = poincare(corners[[1, 1]], torch.tensor([0, 1]))
    assert right < wrong


@pytest.mark.parametrize(
    "case",
    [
        "random",
        "random_x1e4",
        "random_x1e-6",
        "random_xi1e-5",
        "all_equal",
        "near_corner",
        "very_near_corner",
        "target_negative_dominant",
    ],
)
def test_poincare_follows_the_released_code(case):
    """The released code rounds v to float32, which moves log(1 - |v|²) by a few 1e-4 (1e-3 for xi 1e-5)."""
    with np.load(GOLDEN) as arrays:
        recorded = {
            name: torch.as_tensor(arrays[f"{case}__{name}"])
            for name in ("logits", "y", "xi", "loss64", "grad_sum64")
        }
    xi = float(recorded["xi"])
    logits = recorded["logits"].requires_grad_(True)
    values = poincare(logits, recorded["y"], xi)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    torch.testing.assert_close(values, recorded["loss64"], atol=3e-8 / xi, rtol=0)
    scale = recorded["grad_sum64"].abs().max().item()
    torch.testing.assert_close(gradient, recorded["grad_sum64"], atol=1e-5 * scale, rtol=0)


@pytest.mark.parametrize("name", get_args(IdentityLossName))
def test_every_loss_has_one_value_per_image_of_its_own(name):
    torch.manual_seed(0)
    logits, identities = torch.randn(6, 5).double(), torch.tensor([0, 4, 2, 2, 1, 3])
    loss = IDENTITY_LOSSES[name]
    values, gradient = loss(logits, identities), slope(loss, logits, identities)
    assert values.shape == (6,) and set(IDENTITY_LOSSES) == set(get_args(IdentityLossName))
    for row in range(6):
        own = slice(row, row + 1)
        close(loss(logits[own], identities[own]), values[own], 1e-12)
        close(slope(loss, logits[own], identities[own]), gradient[own], 1e-12)
    step = loss(logits - 1e-4 * gradient, identities)
    assert (step < values).all()
