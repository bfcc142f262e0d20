"""Result of a trial: typed in here, and as the JSON that workers return and studies store."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Self

Curve = Sequence[Mapping[str, float]]

REQUIRED = (
    "values",
    "interval",
    "metrics",
    "trained_params",
    "total_params",
    "parameters",
    "freeze_point",
    "defense",
    "seconds",
    "history",
    "artifacts",
    "warnings",
)
# `TrialResult` says when these are missing.
OPTIONAL = ("attacks", "strongest", "people", "data", "version", "machines", "screening")


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95 % interval.

    Attributes:
        low: its lower end.
        high: its upper end.
    """

    low: float
    high: float

    def to_json(self) -> list[float]:
        """Return ``[low, high]``."""
        return [self.low, self.high]

    @classmethod
    def from_json(cls, ends: Sequence[float]) -> Self:
        """Return the interval of ``[low, high]``."""
        low, high = ends
        return cls(low=low, high=high)


def upper_bound(count: float) -> float:
    """Return the rate that lies above the true one with 95 % where none of `count` people were found.

    The one-sided bound of Clopper and Pearson (1934), 1 - 0.05^(1/n). Raises `ValueError` for nobody.
    """
    if count < 1:
        raise ValueError(f"a bound expects at least one person; got {count}")
    return float(1 - 0.05 ** (1 / count))


def count_behind(interval: Sequence[float] | Interval | None) -> float | None:
    """Return how many people stand behind the 95 % interval [0, u] of a rate of 0; None for another one.

    Wilson's interval (1927) of 0 of n ends at u = z^2 / (n + z^2), so n = z^2 (1 - u) / u. What widens an
    interval, such as the noise of training seeds, counts as fewer people.
    """
    if interval is None:
        return None
    low, high = (interval.low, interval.high) if isinstance(interval, Interval) else interval
    if low > 1e-9 or not 0 < high < 1:
        return None
    squared = NormalDist().inv_cdf(0.975) ** 2
    return max(1.0, squared * (1 - high) / high)


@dataclass(frozen=True, kw_only=True)
class AttackResult:
    """Result of one attack on one target.

    Attributes:
        kind: of the attack, its name in the registry.
        threat_model: what it sees of the target: "white-box", "scores" or "labels".
        metrics: figures of its reconstructions, ``attack_accuracy_top1`` among them.
        interval: of ``attack_accuracy_top1``, in [0, 1].
        verified: interval of ``attack_accuracy_verified``; None where that was not measured.
        per_identity: success rate of each identity, in [0, 1]; empty in a result that was read from JSON.
        restarts: reconstructions of each identity; 0 in a result that was read from JSON.
        seconds: stage -> seconds, of the stages made for this target. A prior that all targets share is not
            among them.
        history: some points of its loss curve.
        path: folder of its reconstructions in the store.
        warnings: what a reader must know of its prior; in a trial's JSON they are among the trial's.
        machines: "prior" and "attack" -> what they were made on, see ``TrialResult``; in a trial's JSON they
            are among the trial's.
    """

    kind: str
    threat_model: str
    metrics: Mapping[str, float]
    interval: Interval
    verified: Interval | None = None
    per_identity: Sequence[float] = ()
    restarts: int = 0
    seconds: Mapping[str, float]
    history: Curve
    path: str
    warnings: Sequence[str] = ()
    machines: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what a trial's JSON says under ``attacks``; it has curve and folder under other names."""
        return {
            "kind": self.kind,
            "threat_model": self.threat_model,
            "interval": self.interval.to_json(),
            **({} if self.verified is None else {"verified": self.verified.to_json()}),
            "metrics": dict(self.metrics),
            "seconds": dict(self.seconds),
        }


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """Result of one trial.

    These fields may be missing, and only these: they are None here, and absent in JSON.

    - ``attacks``, ``strongest``, ``people``, ``version`` and ``machines`` of a trial that screening shows to
      be beaten: its attack was not run in full (see ``trainables.screening``). ``interval`` is empty then,
      ``metrics`` has no figure of an attack, and the attack accuracy in ``values`` is that of the short
      attack.
    - ``screening`` of a trial that was not screened.
    - ``people`` and ``machines`` of a trial that was stored before they were noted, and ``data`` of such a
      beaten one.

    Attributes:
        values: ``test_accuracy`` and ``attack_accuracy``, in [0, 1].
        interval: name of a value -> its interval: of the test accuracy over the test images, of the attack
            accuracy over the attacked people, and over the choice of the strongest where there are several;
            of the strongest attack's ``attack_accuracy_verified`` over the people alone.
        metrics: all other figures; those of the strongest attack as they are, and where there are several
            attacks those of each as ``<attack>.<metric>`` too.
        attacks: name -> what the attack reached.
        strongest: name of the attack with the highest accuracy.
        people: how many were ``attacked``, and how many any attack ``found`` in any restart.
        data: content keys of the ``private`` and the ``public`` images; of the private ``images`` alone,
            where their parts and names count too; of what ``pretraining`` reads of a data set or a file.
        version: of the package that ran the trial.
        machines: ``target``, ``judge``, ``prior`` and ``attack`` (of the strongest; each as ``prior.<name>``
            and ``attack.<name>`` too where there are several) -> on what the stage was made: ``device``,
            ``name``, ``threads`` and ``torch``. They change a result under one key. None where that was not
            noted, as of older stages.
        trained_params: parameters of the target that were trained.
        total_params: all parameters of the target.
        parameters: counts of the target's parameters, ``trained`` and ``total`` among them.
        freeze_point: name of the stage up to which the target is frozen; ``all but conv1, conv2`` of one that
            names what it trains (see `frozen_name`).
        defense: kind of the defense.
        seconds: stage -> seconds, summed over attacks.
        history: ``target`` and ``attack`` -> curve, ``attack.<name>`` for attacks besides the strongest;
            ``short attack`` of a beaten trial.
        artifacts: ``target``, ``attack`` (the strongest), ``judge``, ``judge_2`` and so on -> folder in the
            store; where there are several attacks each as ``attack.<name>`` too.
        warnings: what a reader must know of the figures.
        screening: what the short attack showed: ``attack``, ``share``, ``test_accuracy``,
            ``attack_accuracy``, ``interval``, ``seconds`` and ``reason``, "" if the long attack was run.
    """

    values: Mapping[str, float]
    interval: Mapping[str, Interval]
    metrics: Mapping[str, float]
    attacks: Mapping[str, AttackResult] | None = None
    strongest: str | None = None
    people: Mapping[str, int] | None = None
    data: Mapping[str, str] | None = None
    version: str | None = None
    machines: Mapping[str, Mapping[str, Any] | None] | None = None
    trained_params: int
    total_params: int
    parameters: Mapping[str, Any]
    freeze_point: str
    defense: str
    seconds: Mapping[str, float]
    history: Mapping[str, Curve]
    artifacts: Mapping[str, str]
    warnings: Sequence[str]
    screening: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON-ready data, without the fields that are missing."""
        screening = {} if self.screening is None else {"screening": dict(self.screening)}
        return {
            "values": dict(self.values),
            "interval": {name: interval.to_json() for name, interval in self.interval.items()},
            "metrics": dict(self.metrics),
            **(screening if self.attacks is None else {}),  # a key that comes twice stays where it was first
            **(
                {}
                if self.attacks is None
                else {"attacks": {name: attack.to_json() for name, attack in self.attacks.items()}}
            ),
            **({} if self.strongest is None else {"strongest": self.strongest}),
            **({} if self.people is None else {"people": dict(self.people)}),
            **({} if self.data is None else {"data": dict(self.data)}),
            **({} if self.version is None else {"version": self.version}),
            **({} if self.machines is None else {"machines": dict(self.machines)}),
            "trained_params": self.trained_params,
            "total_params": self.total_params,
            "parameters": dict(self.parameters),
            "freeze_point": self.freeze_point,
            "defense": self.defense,
            "seconds": dict(self.seconds),
            "history": {name: list(curve) for name, curve in self.history.items()},
            "artifacts": dict(self.artifacts),
            "warnings": list(self.warnings),
            **screening,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the result that `to_json` made `document` of.

        Other keys, which a sweep adds (``params``, ``replicates``), are left aside. Raises `ValueError` if a
        field is absent that may not be.
        """
        absent = [name for name in REQUIRED if name not in document]
        if absent:
            raise ValueError(f"a trial's result expects all of {', '.join(REQUIRED)}; got no {absent[0]}")
        parts: dict[str, Any] = {name: document[name] for name in (*REQUIRED, *OPTIONAL) if name in document}
        parts["interval"] = {name: Interval.from_json(ends) for name, ends in document["interval"].items()}
        if "attacks" in document:
            parts["attacks"] = {name: _attack(document, name) for name in document["attacks"]}
        return cls(**parts)


def _attack(document: Mapping[str, Any], name: str) -> AttackResult:
    """Return an attack of a trial's JSON; the strongest and a single one have no prefix there."""
    figures, artifacts = document["attacks"][name], document["artifacts"]
    return AttackResult(
        kind=figures["kind"],
        threat_model=figures["threat_model"],
        metrics=figures["metrics"],
        interval=Interval.from_json(figures["interval"]),
        verified=Interval.from_json(figures["verified"]) if figures.get("verified") else None,
        seconds=figures["seconds"],
        history=document["history"]["attack" if name == document["strongest"] else f"attack.{name}"],
        path=artifacts.get(f"attack.{name}", artifacts["attack"]),
    )


def json_ready(value: Any) -> Any:
    """Return `value` with every number that JSON cannot hold as None."""
    if isinstance(value, dict):
        return {key: json_ready(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [json_ready(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
