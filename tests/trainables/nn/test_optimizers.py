import torch
from torch import nn

from trainables.nn.optimizers import adam, gradient_step


def test_a_step_forgets_earlier_gradients_and_moves_its_own_weights():
    moving, still = nn.Linear(2, 1), nn.Linear(2, 1)
    before = [weight.detach().clone() for weight in (moving.weight, still.weight)]
    first, _ = adam(moving.parameters(), still.parameters(), learning_rate=0.1, betas=(0.0, 0.9))
    moving.weight.grad = torch.full_like(moving.weight, -1e6)
    gradient_step(first, moving(torch.ones(1, 2)).sum())
    torch.testing.assert_close(moving.weight.detach(), before[0] - 0.1)  # Adam's first step is the rate
    assert torch.equal(still.weight, before[1])
