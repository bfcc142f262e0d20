"""Agreement of judges on the same reconstructions."""

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


def kappa(first: Tensor, other: Tensor) -> float | None:
    """Return Cohen's kappa (1960) of the people that two judges name, int64 of one shape, at most 1.

    (p - e) / (1 - e), p the share of equal choices, e what it would be if each named people at random as
    often as it does. None where both name one person only: that says nothing of agreement.
    """
    most = int(max(first.max(), other.max())) + 1
    ours, theirs = (choices.flatten().bincount(minlength=most).double() for choices in (first, other))
    chance = ((ours / ours.sum()) * (theirs / theirs.sum())).sum().item()
    if chance > 1 - 1e-12:
        return None
    return ((first == other).double().mean().item() - chance) / (1 - chance)
