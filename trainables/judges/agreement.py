"""Agreement of judges on the same reconstructions, and of any two readers of the same cases."""

from collections import Counter
from collections.abc import Sequence

from torch import Tensor


def second_opinion(first: Tensor, other: Tensor, identities: Tensor) -> dict[str, float | None]:
    """Return what another judge says of the first one's choices; first, other (R, N), identities (N,).

    ``agreement``: share of all reconstructions in which both name the same person, the attacked one or not.
    ``false_positive_rate``: share of the reconstructions that the first judge accepts, by naming the attacked
    person, which the other does not name so; None where the first accepts none.
    """
    accepted = first == identities
    rejected = accepted & (other != identities)
    return {
        "agreement": (first == other).double().mean().item(),
        "false_positive_rate": rejected.sum().item() / accepted.sum().item() if accepted.any() else None,
    }


def cohen_kappa(first: Sequence[object], other: Sequence[object]) -> float | None:
    """Return Cohen's kappa (1960) of two readers' answers to the same cases, at most 1.

    (p - e) / (1 - e), p the share of equal answers, e what it would be if each answered at random as often so
    as it does. None without cases, and where both give one answer only: that says nothing of agreement.
    Raises `ValueError` for other cases.
    """
    if len(first) != len(other):
        raise ValueError(f"kappa expects answers to the same cases; got {len(first)} and {len(other)}")
    count = len(first)
    if not count:
        return None
    equal = sum(ours == theirs for ours, theirs in zip(first, other, strict=True)) / count
    ours, theirs = Counter(first), Counter(other)
    chance = sum(ours[answer] * theirs[answer] for answer in ours) / count**2
    return None if chance > 1 - 1e-12 else (equal - chance) / (1 - chance)
