"""Cross-entropy against labels smoothed by any amount, also a negative one."""

import torch
from torch import Tensor


def smoothed(logits: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Return the mean of (1 - alpha)(-log p_y) + alpha mean_c(-log p_c) over logits (m, K); a scalar.

    The cross-entropy against (1 - alpha) one-hot + alpha / K. torch's own takes only alpha in [0, 1]. With
    alpha below 0 it has no lower bound.
    """
    exact = torch.promote_types(logits.dtype, torch.float32)  # as torch's own cross-entropy under autocast
    surprise = -logits.to(exact).log_softmax(1)
    own = surprise.gather(1, labels[:, None]).squeeze(1)
    return ((1 - alpha) * own + alpha * surprise.mean(1)).mean()
