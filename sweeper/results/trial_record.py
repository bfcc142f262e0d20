"""Records of trials. Their defaults say what may be missing; nothing else has to."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypedDict

Ends = Sequence[float]  # the lower and the upper end of a 95 % interval
VALIDATION = "validation_accuracy"


class AttackFigures(TypedDict, total=False):
    """Figures of one attack, as a trial stores them; see ``trainables.results.AttackResult``."""

    kind: str
    threat_model: str
    interval: list[float]
    verified: list[float]
    metrics: dict[str, float | None]
    seconds: dict[str, float]


class ScreeningFigures(TypedDict, total=False):
    """Figures of a short attack, as a trial stores them; see ``trainables.results.TrialResult``."""

    attack: str
    share: float
    test_accuracy: float
    attack_accuracy: float
    interval: list[float]
    seconds: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """A trial under one of several seeds.

    Attributes:
        replicate: number of the seed.
        values: name of an objective -> value.
        interval: name of a value -> its interval.
        artifacts: name of a stage -> its folder, where it was made, or in the store of a home that was moved.
        data, machines: as of a trial; empty if not known.
        changes: knobs in which its trial differs from that of the search, beside the replicate number.
    """

    replicate: int
    values: Mapping[str, float] = field(default_factory=dict)
    interval: Mapping[str, Ends] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    machines: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data, without what is not known of an older one."""
        return {
            "replicate": self.replicate,
            "values": dict(self.values),
            "interval": dict(self.interval),
            "artifacts": dict(self.artifacts),
            **({"data": dict(self.data)} if self.data else {}),
            **({"machines": dict(self.machines)} if self.machines else {}),
            **({"changes": dict(self.changes)} if self.changes else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the replicate that `to_json` made `document` of; other keys are left aside."""
        return cls(**present(cls, document))


@dataclass(frozen=True, kw_only=True)
class TrialConfirmation:
    """Fresh measurements of a trial, those of the search left out: it was chosen for them.

    Attributes:
        seeds: number of fresh ones.
        values: name of an objective -> mean over the fresh seeds.
        interval: name of an objective -> interval of that mean.
        attacks: name -> figures of each attack; None if they are not known.
        replicates: the seeds one by one.
        front_probability: that no other confirmed trial dominates it; None where no trial has two seeds.
        fresh: what was measured anew, of "seeds", "split", "prior", "judge", and "people" where others were
            attacked than in the search.
    """

    seeds: int
    values: Mapping[str, float]
    interval: Mapping[str, Ends] = field(default_factory=dict)
    attacks: Mapping[str, AttackFigures] | None = None
    replicates: Sequence[Replicate] = ()
    front_probability: float | None = None
    fresh: Sequence[str] = ("seeds",)

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON-ready data."""
        return {
            "seeds": self.seeds,
            "values": dict(self.values),
            "interval": dict(self.interval),
            "attacks": None if self.attacks is None else dict(self.attacks),
            "replicates": [replicate.to_json() for replicate in self.replicates],
            "front_probability": self.front_probability,
            "fresh": list(self.fresh),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the confirmation that `to_json` made `document` of."""
        return cls(**present(cls, document) | {"replicates": _replicates(document)})


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial of a stored study.

    Attributes:
        number: of the trial.
        state: "complete", "screened", "failed" or "running".
        params: path -> value, of what was searched.
        values: name of an objective -> value; empty unless complete.
        on_front: whether no feasible trial dominates it.
        feasible: whether it keeps the study's constraints; None without a result.
        interval: name of a value -> its interval.
        trained_params: parameters of the target that were trained; None if not known.
        total_params: all parameters of the target; None if not known.
        seconds: stage -> seconds.
        metrics: all other figures, see ``sweeper.study.metrics``; None for one that is no number.
        freeze_point: of the target; None if not known.
        defense: kind of the defense; None if not known.
        attacks: name -> figures of each attack; empty if not known.
        strongest: name of the attack that the trial reports; None if not known.
        people: how many were ``attacked`` and ``found``; None if not known.
        data: role -> content key of the images; empty if not known.
        version: of the program that ran the trial; None if not known.
        machines: stage -> on what it was made, None if not known (``trainables.results.TrialResult``); empty
            if not known of any.
        replicates: figures of each seed; empty with one seed alone.
        screening: figures of the short attack; None without one.
        warnings: texts that a reader of the figures must know.
        artifacts: stage -> its folder, where it was made, or in the store of a home that was moved.
        reason: of a failure, or of being infeasible; None otherwise.
        started: ISO moment, None if not known.
        finished: ISO moment, None if not known.
        history: stage -> curve; None if it was not asked for.
        confirmed: fresh measurements; None without any.
        stopped: figures of the undefended target stopped where it is as accurate, and whether this trial
            leaks less (``sweeper.results.controls``); None where that was not measured or not reached.
        searched: name of an objective, as the search saw it -> value; empty if it is not known.
        missed: constraints that it kept while searching, and that what is reported of it misses.
    """

    number: int
    state: str
    params: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    on_front: bool = False
    feasible: bool | None = None
    interval: Mapping[str, Ends] = field(default_factory=dict)
    trained_params: int | None = None
    total_params: int | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    freeze_point: str | None = None
    defense: str | None = None
    attacks: Mapping[str, AttackFigures] = field(default_factory=dict)
    strongest: str | None = None
    people: Mapping[str, int] | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None
    machines: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    replicates: Sequence[Replicate] = ()
    screening: ScreeningFigures | None = None
    warnings: Sequence[str] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None
    started: str | None = None
    finished: str | None = None
    history: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    confirmed: TrialConfirmation | None = None
    stopped: Mapping[str, Any] | None = None
    searched: Mapping[str, float] = field(default_factory=dict)
    missed: Sequence[str] = ()

    @property
    def complete(self) -> bool:
        """Return whether the trial has a result that counts."""
        return self.state == "complete"

    @property
    def fresh(self) -> "TrialRecord | TrialConfirmation":
        """Return the holder of the figures to believe: fresh seeds', or the search's where there are none."""
        return self.confirmed or self

    def to_json(self) -> dict[str, Any]:
        """Return the trial as `sweeper front` prints it: ``values`` holds the validation accuracy too."""
        document: dict[str, Any] = {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}
        if self.metrics.get(VALIDATION) is not None:
            document["values"] = {**self.values, VALIDATION: self.metrics[VALIDATION]}
        for name in ("attacks", "data", "machines", "replicates"):
            document[name] = document[name] or None
        if self.replicates:
            document["replicates"] = [replicate.to_json() for replicate in self.replicates]
        document["warnings"], document["missed"] = list(self.warnings), list(self.missed)
        if self.history is None:
            del document["history"]
        document["confirmed"] = None if self.confirmed is None else self.confirmed.to_json()
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the trial that `to_json` made `document` of; what is missing there is missing here."""
        parts = present(cls, document)
        values, searched = parts.get("values", {}), parts.get("searched", {})
        # Its JSON has the validation accuracy among its values, whether or not that is an objective.
        own = VALIDATION in searched and ("test_accuracy" in searched or "test_accuracy" not in values)
        parts["values"] = {name: value for name, value in values.items() if own or name != VALIDATION}
        parts |= {"number": int(document["number"]), "replicates": _replicates(document)}
        if document.get("confirmed"):
            parts["confirmed"] = TrialConfirmation.from_json(document["confirmed"])
        return cls(**parts)


def present(cls: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a dataclass that `document` has; None counts as missing."""
    names = [part.name for part in dataclasses.fields(cls)]
    return {name: document[name] for name in names if document.get(name) is not None}


def _replicates(document: Mapping[str, Any]) -> tuple[Replicate, ...]:
    return tuple(Replicate.from_json(replicate) for replicate in document.get("replicates") or ())
