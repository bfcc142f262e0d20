"""Budget curve: what an attack reaches with parts of its steps, so whether more steps would find more."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trainables.attacks.plan import AttackPlan
from trainables.config import TrialConfig
from trainables.controls.power import Rates
from trainables.method import length_share
from trainables.results import Interval
from trainables.runtime.progress import Report, silent
from trainables.storage.store import Stage, Store
from trainables.trial import run_attack

SHARES = (0.125, 0.25, 0.5)


@dataclass(frozen=True, kw_only=True)
class BudgetPoint:
    """Result of an attack with a part of its steps, all its restarts.

    Attributes:
        share: of the steps, in (0, 1).
        steps: the knob that says how long the attack runs -> its value.
        interval: of the attack accuracy (the mean of `per_identity`).
        per_identity: success rate of each attacked person, in [0, 1].
    """

    share: float
    steps: Mapping[str, int]
    interval: Interval
    per_identity: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data; ``attack_accuracy`` is the mean over people."""
        return {
            "share": self.share,
            "steps": dict(self.steps),
            "attack_accuracy": Rates(per_identity=self.per_identity, tries=1).mean,
            "interval": self.interval.to_json(),
            "per_identity": list(self.per_identity),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return what `to_json` made `document` of."""
        return cls(
            share=document["share"],
            steps=document["steps"],
            interval=Interval.from_json(document["interval"]),
            per_identity=tuple(document["per_identity"]),
        )


def make_budget(
    config: TrialConfig,
    plan: AttackPlan,
    trained: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> tuple[BudgetPoint, ...]:
    """Return what `plan` reaches on a trained target of `config` with `SHARES` of its steps.

    Each is a stage of its own, with all restarts. Where the steps of an attack do not depend on how many
    there are (`is_prefix_of_longer`), each goes on from the one before and the whole attack from the last.
    Shares that round to as many steps as one before, or as the whole, are left out; an attack without steps
    has none.
    """
    points, longest = [], length_share(plan.attack, 1.0)
    before: dict[str, int] = {}
    for share in SHARES:
        steps = length_share(plan.attack, share)
        if steps in (before, longest):
            continue
        before = steps
        result = run_attack(
            config,
            replace(plan, attack=replace(plan.attack, **steps)),
            trained,
            store=store,
            device=device,
            report=report,
            longer=plan if plan.attack.is_prefix_of_longer else None,
        )
        points.append(
            BudgetPoint(
                share=share,
                steps=steps,
                interval=result.interval,
                per_identity=tuple(result.per_identity),
            )
        )
    return tuple(points)
