"""Power of a study's attack: where the undefended target stands between the floor and the ceiling.

Pure functions of success rates per person; the people are the same, in the same order, for all.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch

from trainables.metrics.attack_accuracy import NORMAL_975, interval95
from trainables.results import Interval, count_behind, upper_bound
from trainables.runtime.seeds import derive

DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Success rates of the attacked people.

    Attributes:
        per_identity: of each person, in [0, 1].
        tries: pictures behind each of them: restarts, or random pictures.
        independent: whether one picture of a person says nothing of the next, as of random pictures.
        with_seeds: interval of the mean that holds training seeds too; None where their noise is not known.
    """

    per_identity: tuple[float, ...]
    tries: int
    independent: bool = False
    with_seeds: Interval | None = None

    @property
    def mean(self) -> float:
        """Return the mean over people."""
        return torch.tensor(self.per_identity, dtype=torch.float64).mean().item()

    @property
    def interval(self) -> Interval:
        """Return the 95 % interval of the mean: `with_seeds`, or that over people alone."""
        return self.over_people if self.with_seeds is None else self.with_seeds

    @property
    def over_people(self) -> Interval:
        """Return the 95 % interval of the mean over people like these; see `interval95`."""
        if self.independent and not any(self.per_identity):  # people alone would say too little: Wilson's end
            squared = NORMAL_975**2
            return Interval(low=0.0, high=squared / (len(self.per_identity) * self.tries + squared))
        low, high = interval95(torch.tensor(self.per_identity, dtype=torch.float64), self.tries)
        return Interval(low=low, high=high)

    def __str__(self) -> str:
        """Return the mean with its interval, for sentences."""
        return written(self.mean, self.interval)


def written(mean: float, interval: Interval) -> str:
    """Return a rate with its interval as text, for sentences; that of nobody as its upper bound."""
    people = count_behind(interval) if mean == 0 else None
    if people is not None:
        return f"below {upper_bound(people):.3f} at 95 %"
    return f"{mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


@dataclass(frozen=True, kw_only=True)
class Power:
    """How much of what a prior can show at all an attack gets out of the undefended target.

    Attributes:
        null: mean rate of pictures that never saw the target.
        undefended: of the attack on the undefended target.
        ceiling: of the attack on the best view of the people; None if that was not measured.
        power: (undefended - null) / (ceiling - null); None without a ceiling above the floor.
        interval: 95 % interval of `power` over people; None with it, or where it has no bound.
    """

    null: float
    undefended: float
    ceiling: float | None
    power: float | None
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "null": self.null,
            "undefended": self.undefended,
            "ceiling": self.ceiling,
            "power": self.power,
            "interval": None if self.interval is None else self.interval.to_json(),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return what `to_json` made `document` of."""
        interval = document["interval"]
        return cls(**{**document, "interval": None if interval is None else Interval.from_json(interval)})


def power(
    undefended: Rates,
    null: Rates,
    ceiling: Rates | None,
    *,
    seed_deviation: float = 0.0,
    draws: int = DRAWS,
    seed: int = 0,
) -> Power:
    """Return the power of an attack, with the percentile interval of `draws` paired redraws of the people.

    All three are drawn again together, since a person who is easy to draw is easy for all three. Where all
    people have one and the same rate, redraws say nothing of how sure it is: there the mean comes from
    Jeffreys' posterior of as many people. A redraw with no room between floor and ceiling counts as infinite.
    seed_deviation: of a rate over training seeds, on the probit scale; the two networks that are attacked
    were trained once each.
    """
    null_mean, mean = null.mean, undefended.mean
    if ceiling is None or not clear(ceiling.interval, null):
        of_ceiling = None if ceiling is None else ceiling.mean
        return Power(null=null_mean, undefended=mean, ceiling=of_ceiling, power=None, interval=None)
    people = len(undefended.per_identity)
    generator = np.random.default_rng(derive(seed, "power"))
    index = generator.integers(people, size=(draws, people))
    low, middle, high = (_redrawn(rates, index, generator) for rates in (null, undefended, ceiling))
    if seed_deviation:
        noise = generator.normal(0.0, seed_deviation, (2, draws))
        middle, high = (_shifted(rates, people, by) for rates, by in zip((middle, high), noise, strict=True))
    room, gained = high - low, middle - low
    ratio = np.where(room > 0, gained / np.where(room > 0, room, 1), np.copysign(np.inf, gained))
    ends = np.quantile(ratio, [0.025, 0.975], method="inverted_cdf").tolist()
    return Power(
        null=null_mean,
        undefended=mean,
        ceiling=ceiling.mean,
        power=(mean - null_mean) / (ceiling.mean - null_mean),
        interval=Interval(low=ends[0], high=ends[1]) if np.isfinite(ends).all() else None,
    )


def _redrawn(
    rates: Rates, index: npt.NDArray[np.int64], generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the mean rates of the people `index` (D, N) drawn again, (D,)."""
    each = np.array(rates.per_identity)
    if (each != each[0]).any():
        means: npt.NDArray[np.float64] = each[index].mean(1)
        return means
    hits, people = each.sum(), len(each)
    return generator.beta(hits + 0.5, people - hits + 0.5, size=len(index))


def _shifted(
    rates: npt.NDArray[np.float64], people: int, by: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return rates moved `by` so much on the probit scale, on which 0 and 1 are a quarter of a person off."""
    quarter = 0.25 / people
    probits = torch.special.ndtri(torch.from_numpy(rates.clip(quarter, 1 - quarter)))
    moved: npt.NDArray[np.float64] = torch.special.ndtr(probits + torch.from_numpy(by)).numpy()
    return moved


def clear(interval: Interval, null: Rates) -> bool:
    """Return whether a rate is clear of the floor: its interval begins above that of the floor's mean."""
    return interval.low > null.interval.high


Remedy = Literal["people", "restarts", "iterations", "prior"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether the figures of a study can tell anything.

    Attributes:
        verdict: "tells", or "cannot tell" where the attack on the undefended target is not clear of the
            floor.
        reason: one sentence with the figures.
        remedies: what would help, the most likely first; empty where the study tells.
    """

    verdict: Literal["tells", "cannot tell"]
    reason: str
    remedies: tuple[Remedy, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"verdict": self.verdict, "reason": self.reason, "remedies": list(self.remedies)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return what `to_json` made `document` of."""
        return cls(**{**document, "remedies": tuple(document["remedies"])})


def verdict(
    undefended: Rates,
    null: Rates,
    ceiling: Rates | None = None,
    positive: Rates | None = None,
) -> Verdict:
    """Return whether the attack on the undefended target says more than pictures that never saw it.

    The undefended rate's whole interval counts; why it is not clear is asked of the others over people alone.
    """
    wider = "" if undefended.with_seeds is None else " over people and training seeds"
    reached = f"the attack on the undefended target reaches {undefended}{wider}"
    if clear(undefended.interval, null):
        floor = f"the floor of {null}, which pictures reach that never saw a target"
        return Verdict(verdict="tells", reason=f"{reached}, clear of {floor}")
    reason = f"{reached}, not clear of the floor of {null}, which pictures reach that never saw a target"
    remedies: tuple[Remedy, ...]
    if ceiling is not None and not clear(ceiling.over_people, null):
        reason += (
            f"; pointed at the best view of the people it reaches {ceiling}: what the prior can show is no "
            "likeness, or the attack does not find it"
        )
        remedies = ("prior", "iterations", "restarts")
    elif positive is not None and clear(positive.over_people, null):
        reason += (
            f"; on a target that must leak it reaches {positive}: too few people for what this one leaks"
        )
        remedies = ("people", "restarts")
    elif positive is not None:
        reason += f"; on a target that must leak it reaches no more than {positive}: the attack is too weak"
        remedies = ("iterations", "restarts", "prior", "people")
    else:
        remedies = ("people", "restarts", "iterations", "prior")
    return Verdict(verdict="cannot tell", reason=reason, remedies=remedies)
