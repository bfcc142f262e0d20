"""Losses of logits against an attacked identity: pure functions of logits (n, K) and identities (n,).

Each returns one value per image, (n,), lower is closer; how images are averaged is the attack's business.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

IdentityLoss = Callable[[Tensor, Tensor], Tensor]
IdentityLossName = Literal["cross_entropy", "logit", "max_margin", "poincare"]


def cross_entropy(logits: Tensor, identities: Tensor) -> Tensor:
    """Return -log softmax(logits)[identity], (n,), at least 0; the identity loss of GMI (its eq. 5)."""
    return functional.cross_entropy(logits, identities, reduction="none")


def logit(logits: Tensor, identities: Tensor) -> Tensor:
    """Return -logits[identity], (n,), unbounded; LOMMA's loss (Nguyen et al., CVPR 2023)."""
    return -_own(logits, identities)


def max_margin(logits: Tensor, identities: Tensor) -> Tensor:
    """Return max over j != identity of logits[j], less logits[identity], (n,), unbounded; K is at least 2.

    The loss of PLG-MI (Yuan et al., AAAI 2023); below 0 where the identity has the largest logit.
    """
    others = logits.scatter(1, identities[:, None], -torch.inf)
    return others.amax(1) - _own(logits, identities)


def poincare(logits: Tensor, identities: Tensor, xi: float = 1e-4) -> Tensor:
    """Return the Poincaré distance between logits and the identity's corner, (n,), above 0.

    PPA's loss (Struppek et al., ICML 2022): with u = o / |o|_1 and v = 1 - xi at the identity, else 0, it
    is arccosh(1 + 2 |u - v|² / ((1 - |u|²)(1 - |v|²))). It does not change when logits are scaled.

    Computed in float64 and returned in the type of `logits`: near its least value, 1 - |u|² is lost in the
    rounding of float32. Two cases without a value in the formula are given one: logits that are all 0 count
    as u = 0, and 1 - |u|² is not taken below 1e-12, which only a row with a single non-zero logit reaches.
    """
    wide = logits.double()
    size = wide.abs().sum(1, keepdim=True)
    u = wide / size.where(size > 0, 1.0)
    v = torch.zeros_like(u).scatter(1, identities[:, None], 1 - xi)
    room = (1 - u.square().sum(1)).clamp_min(1e-12) * (xi * (2 - xi))  # 1 - |v|² = xi (2 - xi)
    return torch.acosh(1 + 2 * (u - v).square().sum(1) / room).to(logits.dtype)


IDENTITY_LOSSES: dict[IdentityLossName, IdentityLoss] = {
    "cross_entropy": cross_entropy,
    "logit": logit,
    "max_margin": max_margin,
    "poincare": poincare,
}


def _own(logits: Tensor, identities: Tensor) -> Tensor:
    return logits.gather(1, identities[:, None]).squeeze(1)
