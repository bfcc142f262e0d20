"""Results of the controls of a study: typed in here, and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from trainables.controls.budget import BudgetPoint
from trainables.controls.power import Power, Rates, Verdict, power, verdict
from trainables.results import Interval

Name = Literal["undefended", "ceiling", "positive", "sampler"]


@dataclass(frozen=True, kw_only=True)
class NullControl:
    """The floor: how often the judge names each person in pictures that never saw the target.

    Attributes:
        prior: kind of the prior that drew them.
        attack: kind of the attack within whose bounds they were drawn; None for plain random latents.
        saw_target: whether that prior was trained with the undefended target, because the study has no other;
            the labels of the pictures are random then, and the floor is rather too high than too low.
        pictures: how many.
        per_identity: share of them that the judge names as each attacked person, in [0, 1].
        named: how many people of all whom the judge knows are named at least once.
        seconds: that it took.
        path: folder of the pictures in the store.
    """

    prior: str
    attack: str | None
    saw_target: bool
    pictures: int
    per_identity: tuple[float, ...]
    named: int
    seconds: float
    path: str

    @property
    def rates(self) -> Rates:
        """Return the floor of each attacked person."""
        return Rates(per_identity=self.per_identity, tries=self.pictures, independent=True)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data; ``rate`` and ``interval``: the mean over people and its 95 % interval."""
        return {
            "prior": self.prior,
            "attack": self.attack,
            "saw_target": self.saw_target,
            "pictures": self.pictures,
            "rate": self.rates.mean,
            "interval": self.rates.interval.to_json(),
            "per_identity": list(self.per_identity),
            "named": self.named,
            "seconds": self.seconds,
            "path": self.path,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return what `to_json` made `document` of."""
        fields = {name: value for name, value in document.items() if name not in ("rate", "interval")}
        return cls(**{**fields, "per_identity": tuple(fields["per_identity"])})


@dataclass(frozen=True, kw_only=True)
class TargetControl:
    """Result of the study's attack on the target of a control.

    Attributes:
        name: of the control.
        attack: name of the attack in the trial.
        architecture: of the target.
        epoch: whose weights were attacked.
        validation_accuracy: of the target, in [0, 1]; None where it was trained on the validation images.
        test_accuracy: of the target, in [0, 1].
        interval: of the attack accuracy (the mean of `per_identity`).
        per_identity: success rate of each attacked person, in [0, 1].
        restarts: pictures of each person.
        metrics: all figures of the reconstructions.
        seconds: stage -> seconds.
        artifacts: ``target`` and ``attack`` -> folder in the store.
        budget: of the same attack with parts of its steps; None where that was not measured.
    """

    name: Name
    attack: str
    architecture: str
    epoch: int
    validation_accuracy: float | None
    test_accuracy: float
    interval: Interval
    per_identity: tuple[float, ...]
    restarts: int
    metrics: Mapping[str, float]
    seconds: Mapping[str, float]
    artifacts: Mapping[str, str]
    budget: tuple[BudgetPoint, ...] | None = None

    @property
    def rates(self) -> Rates:
        """Return the success rate of each attacked person."""
        return Rates(per_identity=self.per_identity, tries=self.restarts)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data; ``attack_accuracy`` is the mean over people."""
        return {
            "name": self.name,
            "attack": self.attack,
            "architecture": self.architecture,
            "epoch": self.epoch,
            "validation_accuracy": self.validation_accuracy,
            "test_accuracy": self.test_accuracy,
            "attack_accuracy": self.rates.mean,
            "interval": self.interval.to_json(),
            "per_identity": list(self.per_identity),
            "restarts": self.restarts,
            "metrics": dict(self.metrics),
            "seconds": dict(self.seconds),
            "artifacts": dict(self.artifacts),
            "budget": None if self.budget is None else [point.to_json() for point in self.budget],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return what `to_json` made `document` of."""
        fields = {name: value for name, value in document.items() if name != "attack_accuracy"}
        points = fields.get("budget")  # older documents have none
        return cls(
            **{
                **fields,
                "budget": None if points is None else tuple(BudgetPoint.from_json(point) for point in points),
                "interval": Interval.from_json(fields["interval"]),
                "per_identity": tuple(fields["per_identity"]),
            }
        )


@dataclass(frozen=True, kw_only=True)
class ControlResults:
    """All controls of a study; None for one that was not asked for.

    Attributes:
        attack: name of the attack that they ran.
        undefended: the study's template without a defense.
        null: the floor.
        ceiling: the best view of the people that there is, judged by the study's judge.
        positive: a target that must leak.
        sampler: BiDO's batches without BiDO; None also for an architecture without hooks.
        seed_deviation: of an attack rate over training seeds, on the probit scale, where a study knows it;
            power holds it.
        with_seeds: name of a control -> interval of its attack rate that holds training seeds too, where a
            study knows their noise; the verdict is by these.
    """

    attack: str
    undefended: TargetControl
    null: NullControl | None = None
    ceiling: TargetControl | None = None
    positive: TargetControl | None = None
    sampler: TargetControl | None = None
    seed_deviation: float | None = None
    with_seeds: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def power(self) -> Power | None:
        """Return where the undefended target stands between floor and ceiling; None without a floor."""
        if self.null is None:
            return None
        return power(
            self.undefended.rates,
            self.null.rates,
            None if self.ceiling is None else self.ceiling.rates,
            seed_deviation=self.seed_deviation or 0.0,
        )

    @property
    def verdict(self) -> Verdict | None:
        """Return whether the study tells anything, by what noise is known; None without a floor."""
        if self.null is None:
            return None
        undefended, ceiling, positive = (
            None if control is None else replace(control.rates, with_seeds=self.with_seeds.get(control.name))
            for control in (self.undefended, self.ceiling, self.positive)
        )
        assert undefended is not None
        return verdict(undefended, self.null.rates, ceiling, positive)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data, with ``power`` and what `verdict` says."""
        parts = {name: getattr(self, name) for name in ("undefended", *OPTIONAL, "power", "verdict")}
        return {
            "attack": self.attack,
            "seed_deviation": self.seed_deviation,
            "with_seeds": {name: interval.to_json() for name, interval in self.with_seeds.items()},
            **{name: None if part is None else part.to_json() for name, part in parts.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return what `to_json` made `document` of; power and verdict are computed again."""
        return cls(
            attack=document["attack"],
            seed_deviation=document.get("seed_deviation"),  # older documents have none, nor the next
            with_seeds={
                name: Interval.from_json(ends) for name, ends in (document.get("with_seeds") or {}).items()
            },
            undefended=TargetControl.from_json(document["undefended"]),
            **{
                name: None if document[name] is None else kind.from_json(document[name])
                for name, kind in OPTIONAL.items()
            },
        )


OPTIONAL: dict[str, Any] = {
    "null": NullControl,
    "ceiling": TargetControl,
    "positive": TargetControl,
    "sampler": TargetControl,
}
