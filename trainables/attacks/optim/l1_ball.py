"""The nearest point of an L1 ball."""

import torch
from torch import Tensor


def project_l1(rows: Tensor, radius: float) -> Tensor:
    """Return, for each row of (n, D), the point with ‖x‖₁ <= `radius` that is nearest in the L2 norm.

    Exact, by sorting (Duchi et al., ICML 2008, figure 1): every number moves towards 0 by one theta, and
    those smaller than theta become 0. With u the sizes in falling order and s their running sums, theta is
    (s_k - radius) / k for the last k with k u_k > s_k - radius; a row inside the ball has a theta below 0 and
    stays as it is. radius: above 0. Sums are taken in float64.
    """
    size = rows.abs()
    ordered = size.double().sort(dim=1, descending=True).values
    excess = ordered.cumsum(1) - radius
    count = torch.arange(1, rows.shape[1] + 1, device=rows.device)
    last = (ordered * count > excess).sum(1, keepdim=True)  # they are the first ones, and at least one
    theta = (excess.gather(1, last - 1) / last).clamp_min(0).to(rows.dtype)
    return rows.sign() * (size - theta).clamp_min(0)
