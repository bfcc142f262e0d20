"""Scores that tell members of training sets from others: halves of people, calibration, AUC, its interval."""

import dataclasses

import torch
from torch import Tensor

from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.runtime.seeds import stream

LEAST_PEOPLE = 4
DRAWS = 1000
LEVEL = 0.95  # of intervals and bounds


def halves(kind: str, targets: int, people: int, seed: int) -> Tensor:
    """Return who is in the training set of each target, bool (targets, people), for the analysis `kind`.

    targets: an even number, from 4. People are halved, and each half and its complement train one target, so
    that every person is in half of all. Raises `ConfigError` with fewer than four people.
    """
    if people < LEAST_PEOPLE:
        raise ConfigError(
            f"analysis '{kind}' expects at least {LEAST_PEOPLE} private people, got {people} (private); "
            "take more"
        )
    generator = stream(seed, kind, "halves")
    member = torch.zeros(targets, people, dtype=torch.bool)
    for number in range(0, targets, 2):
        member[number, torch.randperm(people, generator=generator)[: people // 2]] = True
        member[number + 1] = ~member[number]
    return member


def check_tested(kind: str, test: Images) -> None:
    """Raise `ConfigError` for people without an image in `test`: the analysis `kind` cannot ask for them."""
    untested = test.classes - len(torch.unique(test.labels))
    if untested:
        raise ConfigError(
            f"analysis '{kind}' expects a private test image of every person, got none of {untested} of "
            f"{test.classes} people (private, test); hold out some of each"
        )


def only(images: Images, member: Tensor) -> Images:
    """Return the images of the people in `member`, bool (K,), labelled anew from 0 in the same order."""
    part = images.select(member[images.labels].nonzero().flatten())
    place = member.long().cumsum(0) - 1
    names = tuple(name for name, inside in zip(images.names, member.tolist(), strict=True) if inside)
    return dataclasses.replace(part, labels=place[part.labels], names=names)


def calibrate(scores: Tensor, member: Tensor) -> Tensor:
    """Return scores (T, K) less each person's mean under targets trained without that person.

    Left out is the pair of the score, the target itself and the one of all others: so a member's mean is of
    as many targets as a non-member's, and where nothing leaks both scores spread alike.

    member: bool (T, K), of pairs that are each other's complement (`halves`), each person outside at least
    two targets.
    """
    outside = (~member).to(scores)

    def of_others(values: Tensor) -> Tensor:
        return values.sum(0) - values.reshape(-1, 2, values.shape[1]).sum(1).repeat_interleave(2, dim=0)

    return scores - of_others(scores * outside) / of_others(outside)


def auc(scores: Tensor, member: Tensor) -> float:
    """Return the probability that a member's score is above a non-member's, ties half; of equal shapes."""
    inside, outside = scores[member], scores[~member].sort().values
    below = torch.searchsorted(outside, inside, right=False)
    upto = torch.searchsorted(outside, inside, right=True)
    return ((below + upto).double() / 2).mean().item() / len(outside)


def auc_interval(kind: str, scores: Tensor, member: Tensor, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of `auc` over people (percentile bootstrap), for the analysis `kind`.

    Where people are told apart completely, every draw of them is too, however few they are. So an interval
    that reaches 1 begins no higher than `bound_of_complete`, and one that reaches 0 ends no lower than 1 less
    that. The targets are taken as given.
    """
    people = scores.shape[1]
    drawn = torch.randint(people, (DRAWS, people), generator=stream(seed, kind, "bootstrap"))
    values = torch.tensor([auc(scores[:, row], member[:, row]) for row in drawn], dtype=torch.float64)
    centre, bound = auc(scores, member), bound_of_complete(people)
    low, high = values.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    least = min(low, centre, bound if high == 1 else 1.0)
    most = max(high, centre, 1 - bound if low == 0 else 0.0)
    return least, most


def bound_of_complete(people: int) -> float:
    """Return what the true AUC is above with 95 % where `people` are all told apart: .05^(2 / people).

    An AUC of 1 says that no two of K people have scores in the wrong order. Were the true AUC A, the chance
    of two people without such scores would be at most A, since scores in the wrong order are what lowers it.
    People who are drawn independently make K / 2 pairs that share nobody, so the chance that all K are told
    apart is at most A^(K / 2), and below 5 % where A is below .05^(2 / K). That is Clopper and Pearson's
    bound (1934) of none among K / 2 pairs; for odd K it holds too, by the theorem of Kruskal (1963) and
    Katona (1968) on how many sets of K can do without a pair. It is reached where a few people are in the
    wrong order with everybody, and else it is too low rather than too high.
    """
    return float((1 - LEVEL) ** (2 / people))
