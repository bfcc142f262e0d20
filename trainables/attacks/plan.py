"""Plan of an attack: the method, the prior that it uses, and how it computes and asks."""

import dataclasses
from typing import Any

from trainables.attacks.base import Attack
from trainables.defenses.base import Defense
from trainables.errors import ConfigError
from trainables.nn.precision import AskedFormat, Precision, number_format_on
from trainables.priors import PRIORS
from trainables.priors.base import VIEWS, Prior
from trainables.runtime.checks import at_least

SEEN = {"labels": "its labels alone", "scores": "its scores", "white-box": "its gradients"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttackPlan:
    """An attack, the prior that it uses, and how its networks compute where it takes gradients.

    precision, compile: only of white-box attacks; see `trainables.nn.precision`. "auto" is another result
        where it means another number format, and `on` says which.
    adaptive: only of white-box attacks: attack what `Defense.adapted` makes of the target, as one does who
        knows of its defense; of a defense without such a form nothing changes. A prior that the target
        teaches is taught by the target itself, once for both attackers.
    answers_averaged: only of others: pictures asked about for each image, see `trainables.oracle.Oracle`.
    """

    attack: Attack
    prior: Prior
    precision: AskedFormat = "float32"
    compile: bool = False
    adaptive: bool = False
    answers_averaged: int = 1

    def __post_init__(self) -> None:
        at_least(self, 1, "answers_averaged")
        if self.answers_averaged > 1 and self.attack.threat_model == "white-box":
            raise ConfigError(
                f"attack '{self.attack.kind}' sees the target's weights and asks nothing, so it expects no "
                f"answers_averaged; got {self.answers_averaged}; leave it out"
            )
        if self.adaptive and self.attack.threat_model != "white-box":
            raise ConfigError(
                f"attack '{self.attack.kind}' does not see the target's weights, so it expects no adaptive; "
                "got adaptive: true; leave it out, or average answers (answers_averaged)"
            )
        if self.computes_otherwise and self.attack.threat_model != "white-box":
            raise ConfigError(
                f"attack '{self.attack.kind}' sees no gradients of the target, so it expects neither "
                f"precision nor compile; got precision: {self.precision}, compile: "
                f"{str(self.compile).lower()}; leave them out"
            )

    def check_threat_model(self) -> None:
        """Raise `ConfigError` if the prior sees more of the target than the attack may."""
        sees = self.attack.threat_model
        allowed = VIEWS[: VIEWS.index(sees) + 1]
        if self.prior.threat_model not in allowed:
            fitting = [kind for kind, prior in PRIORS.items() if prior.threat_model in allowed]
            raise ConfigError(
                f"attack '{self.attack.kind}' sees of the target {SEEN[sees]}, and its prior may see no "
                f"more; got '{self.prior.kind}', which is trained with {SEEN[self.prior.threat_model]} "
                f"(prior); choose {', '.join(fitting)}"
            )

    def against(self, defense: Defense) -> "AttackPlan":
        """Return the plan as it runs on targets of `defense`: adaptive only where there is something to."""
        return self if defense.adapts or not self.adaptive else dataclasses.replace(self, adaptive=False)

    @property
    def computes_otherwise(self) -> bool:
        """Return whether `precision` or `compile` is not as usual."""
        return self.precision != "float32" or self.compile

    def on(self, device: str) -> "AttackPlan":
        """Return this plan with the number format that "auto" means on `device`."""
        return dataclasses.replace(self, precision=number_format_on(self.precision, device))

    def settings_on(self, device: str) -> Precision:
        """Return how the attack's networks compute on `device`."""
        return Precision(number_format_on(self.precision, device), self.compile)

    @property
    def unusual(self) -> dict[str, Any]:
        """Return `precision` and `compile`, and what `asking` has; nothing of what is as usual."""
        computing = {"precision": self.precision, "compile": self.compile}
        return {**(computing if self.computes_otherwise else {}), **self.asking}

    @property
    def asking(self) -> dict[str, Any]:
        """Return `adaptive` and `answers_averaged`, which decide what the target says; mostly nothing."""
        return {
            **({"adaptive": True} if self.adaptive else {}),
            **({} if self.answers_averaged == 1 else {"answers_averaged": self.answers_averaged}),
        }
