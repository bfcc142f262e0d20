"""How far logits are from an attacked identity: pure functions of logits (n, K) and identities (n,).

Each returns one value per image, (n,), lower is closer; how images are averaged is the attack's business.
"""

from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, identities: Tensor) -> Tensor:
    """Return -log softmax(logits)[identity], (n,), at least 0; the identity loss of GMI (its eq. 5)."""
    return functional.cross_entropy(logits, identities, reduction="none")
