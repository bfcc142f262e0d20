"""Steps of torch's optimizers, as trainings of networks take them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def gradient_step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Make one step of `optimizer` down `loss`, from fresh gradients."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def adam(
    *weights: Iterable[nn.Parameter], learning_rate: float, betas: tuple[float, float]
) -> list[torch.optim.Optimizer]:
    """Return an optimizer of each of `weights`."""
    return [torch.optim.Adam(each, lr=learning_rate, betas=betas) for each in weights]
