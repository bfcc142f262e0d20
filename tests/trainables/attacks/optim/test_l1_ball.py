"""The projection onto an L1 ball against bisection and the conditions of the nearest point."""

import pytest
import torch
from torch import Tensor

from trainables.attacks.optim.l1_ball import project_l1


def bisected(row: Tensor, radius: float) -> Tensor:
    """The row shrunk to the size `radius`, its theta found by halving an interval; or the row, if inside."""
    low, high = torch.zeros([], dtype=torch.float64), row.abs().max()
    if row.abs().sum() <= radius:
        return row
    for _ in range(200):
        theta = (low + high) / 2
        too_small = (row.abs() - theta).clamp_min(0).sum() < radius
        low, high = (low, theta) if too_small else (theta, high)
    return row.sign() * (row.abs() - low).clamp_min(0)


@pytest.mark.parametrize("radius", [0.3, 1.0, 5.0, 40.0])
def test_agrees_with_bisection(radius):
    rows = torch.randn(6, 30, generator=torch.manual_seed(0), dtype=torch.float64)
    rows[1, ::2] = 0
    rows[2] = rows[2].round()  # ties
    rows[3] = 0
    rows[4] *= 100
    wanted = torch.stack([bisected(row, radius) for row in rows])
    torch.testing.assert_close(project_l1(rows, radius), wanted, atol=1e-9, rtol=0)


def test_inside_nothing_changes_and_outside_the_size_is_the_radius():
    rows = (
        torch.randn(5, 1000, generator=torch.manual_seed(1)) * torch.tensor([0.001, 0.1, 1, 10, 1e4])[:, None]
    )
    found = project_l1(rows, 50.0)
    assert torch.equal(found[0], rows[0])
    torch.testing.assert_close(found[2:].abs().sum(1), torch.full((3,), 50.0), atol=1e-3, rtol=0)
    assert ((found == 0) | (found.sign() == rows.sign())).all() and (found.abs() <= rows.abs()).all()


def test_no_point_of_the_ball_is_nearer():
    generator = torch.manual_seed(2)
    row = torch.randn(1, 8, generator=generator, dtype=torch.float64)
    found = project_l1(row, 1.0)
    others = torch.randn(5000, 8, generator=generator, dtype=torch.float64)
    others = others / others.abs().sum(1, keepdim=True) * torch.rand(5000, 1, generator=generator).double()
    assert ((others - row).norm(dim=1) > (found - row).norm()).all()


def test_sums_of_many_numbers_are_exact():
    """Four million numbers of one size: each is left with its share, to the rounding of one float32."""
    row = torch.full((1, 4_000_000), 0.01)
    torch.testing.assert_close(project_l1(row, 8000.0), torch.full_like(row, 0.002), atol=1e-8, rtol=0)


def test_rows_do_not_see_each_other():
    rows = torch.randn(3, 20, generator=torch.manual_seed(3))
    assert torch.equal(project_l1(rows, 2.0)[1:2], project_l1(rows[1:2], 2.0))
