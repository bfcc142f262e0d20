"""Remedies for a study that cannot tell, with figures where the power calculation gives some.

Counts of people and restarts are those with which rates such as the undefended target's and the floor's are
told apart with a chance of 80 % (`sweeper.statistics.power`); where no count would do, the remedy is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.results.controls.figures import budget_curve
from sweeper.statistics.power import effective_people, exact_power, people_within_reach, restarts_needed

MOST_EXACT = 1000  # people; more take seconds
TEXTS = {
    "people": "attack more people",
    "restarts": "more restarts of the attack",
    "iterations": "more steps of the attack",
    "prior": "a prior that can show the people",
}


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """What would help a study that cannot tell.

    Attributes:
        name: of the remedy, a key of `TEXTS`.
        text: of it, with its figure.
        needed: how many people, restarts or steps; None where the calculation gives none.
    """

    name: str
    text: str
    needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"name": self.name, "text": self.text, "needed": self.needed}


def remedies(controls: Mapping[str, Any] | None) -> list[Remedy]:
    """Return what would help a study by its `controls`, as JSON, the likeliest first; [] if it tells."""
    controls = controls or {}
    names = list((controls.get("verdict") or {}).get("remedies") or ())
    if not names:
        return []
    rising = (controls.get("still_rising") or {}).get("undefended")
    if rising and "iterations" in names:  # it is known to help
        names = ["iterations", *(name for name in names if name != "iterations")]
    of = {
        "people": _people,
        "restarts": _restarts,
        "iterations": _iterations,
        "prior": _prior,
    }
    known = [remedy for name in names if (remedy := of[name](controls)) is not None]
    return known or [Remedy(name=name, text=TEXTS[name]) for name in names]


def _rates(controls: Mapping[str, Any]) -> tuple[float, float, int, int, float] | None:
    """Return undefended rate, floor, people, restarts and the deviation of that rate over training seeds.

    None where they are not known, or where the rate is not above the floor, of which nothing follows.
    """
    undefended, null = controls.get("undefended") or {}, controls.get("null") or {}
    rate, floor = undefended.get("attack_accuracy"), null.get("rate")
    people, restarts = len(undefended.get("per_identity") or ()), undefended.get("restarts")
    if rate is None or floor is None or not people or not restarts or rate <= floor:
        return None
    return rate, floor, people, restarts, _spread(rate, controls.get("seed_deviation") or 0.0)


def _spread(rate: float, probit: float) -> float:
    """Return the deviation of a rate, of one on the probit scale: that by the slope of the scale."""
    from statistics import NormalDist

    normal = NormalDist()
    return 0.0 if not 0 < rate < 1 else probit * normal.pdf(normal.inv_cdf(rate))


def _people(controls: Mapping[str, Any]) -> Remedy | None:
    known = _rates(controls)
    if known is None:
        return Remedy(name="people", text=TEXTS["people"])
    rate, floor, people, restarts, spread = known
    needed = people_within_reach(rate, floor, restarts=restarts, seed_deviation=spread)
    if needed is None:
        return None  # training seeds alone hide the difference
    figure = f"about {needed:,} for a chance of 80 %; {people} were attacked"
    worth = round(effective_people(people, restarts))
    if not spread and worth <= MOST_EXACT:
        figure += f", a chance of {exact_power(rate, floor, worth):.0%}"
    return _counted("people", needed, people, figure)


def _restarts(controls: Mapping[str, Any]) -> Remedy | None:
    known = _rates(controls)
    if known is None:
        return Remedy(name="restarts", text=TEXTS["restarts"])
    rate, floor, people, restarts, spread = known
    needed = people_within_reach(rate, floor, restarts=1, seed_deviation=spread)
    if needed is None:
        return None
    if effective_people(people, restarts) >= needed:
        return Remedy(name="restarts", text=TEXTS["restarts"])
    count = restarts_needed(people, needed)
    if count is None:
        return None  # so few people are too few, however often each is attacked
    return _counted(
        "restarts", count, restarts, f"about {count:,} for a chance of 80 %; there were {restarts}"
    )


def _counted(name: str, needed: int, present: int, figure: str) -> Remedy:
    if needed <= present:
        return Remedy(name=name, text=TEXTS[name])
    return Remedy(name=name, text=f"{TEXTS[name]} ({figure})", needed=needed)


def _iterations(controls: Mapping[str, Any]) -> Remedy | None:
    undefended = controls.get("undefended") or {}
    rising = (controls.get("still_rising") or {}).get("undefended")
    if rising is None:
        return Remedy(name="iterations", text=TEXTS["iterations"])
    if not rising:
        return None
    half = next(point for point in undefended["budget"] if point["share"] == 0.5)
    steps = max(half["steps"].values())
    curve = budget_curve(undefended) or []
    rates = " and ".join(f"{point['attack_accuracy']:.3f}" for point in curve[-2:])
    text = f"{TEXTS['iterations']} (still rising: {rates} with half and all of them; try {4 * steps:,})"
    return Remedy(name="iterations", text=text, needed=4 * steps)


def _prior(controls: Mapping[str, Any]) -> Remedy | None:
    ceiling, null = controls.get("ceiling") or {}, controls.get("null") or {}
    if not ceiling.get("interval") or not null.get("interval"):
        return Remedy(name="prior", text=TEXTS["prior"])
    if ceiling["interval"][0] > null["interval"][1]:
        return None  # it can: the ceiling is clear of the floor
    rate = ceiling["attack_accuracy"]
    return Remedy(name="prior", text=f"{TEXTS['prior']} (this one shows {rate:.3f} at best)")
