"""Types of a comparison of fronts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeper.results.comparing.published import PublishedTrial
from sweeper.results.record_types import StudyConfirmation
from sweeper.results.trial_record import TrialRecord


@dataclass(frozen=True, kw_only=True)
class VolumeEstimate:
    """A hypervolume with the luck of the front taken off, or the lead of one over another.

    Attributes:
        value: of the hypervolume, or of the lead.
        interval: of it, at `level`.
        level: 0.95; of leads among several studies so much more that those of all pairs hold at 0.95.
        basis: of the interval, a key of `resample.BASES`, or two.
        probability: that the lead is above 0, this pair taken alone; None for a hypervolume, and for a lead
            that is not cross-fitted, of which it would be overstated.
    """

    value: float
    interval: tuple[float, float]
    level: float = 0.95
    basis: str
    probability: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        known = {} if self.probability is None else {"probability": self.probability}
        ends = {"interval": list(self.interval), "level": self.level}
        return {"value": self.value, **ends, "basis": self.basis, **known}


@dataclass(frozen=True, kw_only=True)
class ComparedStudy:
    """A study beside others.

    Attributes:
        study: its name.
        hypervolume: as measured.
        front: its trials, the best in the first objective first.
        trials: number of the finished ones.
        estimate: of the hypervolume; None where nothing is known of its spread.
        seconds: of work in all trials.
        per_hour: hypervolume per hour of work; None without any.
        at_equal_work: hypervolume after the work of the study with the least.
        confirmed: fresh measurements; None without any.
    """

    study: str
    hypervolume: float
    front: Sequence[TrialRecord] = ()
    trials: int
    estimate: VolumeEstimate | None = None
    seconds: float = 0.0
    per_hour: float | None = None
    at_equal_work: float = 0.0
    confirmed: StudyConfirmation | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "study": self.study,
            "hypervolume": self.hypervolume,
            "front": [trial.to_json() for trial in self.front],
            "trials": self.trials,
            "estimate": None if self.estimate is None else self.estimate.to_json(),
            "seconds": self.seconds,
            "per_hour": self.per_hour,
            "at_equal_work": self.at_equal_work,
            "confirmed": None if self.confirmed is None else self.confirmed.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class LevelRange:
    """Levels of the first objective over which one study is better in the other.

    Attributes:
        low: where they begin.
        high: where they end.
        better: name of the study; None if both attain the same.
        both: whether both fronts reach these levels.
    """

    low: float
    high: float
    better: str | None
    both: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"from": self.low, "to": self.high, "better": self.better, "both": self.both}


@dataclass(frozen=True, kw_only=True)
class FrontCrossing:
    """A level of the first objective at which two studies change places.

    Attributes:
        level: of the first objective.
        up_to: name of the study that is better up to there.
        beyond: name of the one that is better beyond.
    """

    level: float
    up_to: str | None
    beyond: str | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"level": self.level, "up_to": self.up_to, "beyond": self.beyond}


@dataclass(frozen=True, kw_only=True)
class ComparedPair:
    """Two studies against each other.

    Attributes:
        studies: their names.
        difference: of the hypervolumes as measured, the first one's less the second one's.
        estimate: of that difference; None where nothing is known of its spread.
        ranges: where which one is better; None unless there are two objectives.
        crossings: where they change places; None unless there are two objectives.
    """

    studies: tuple[str, str]
    difference: float
    estimate: VolumeEstimate | None = None
    ranges: Sequence[LevelRange] | None = None
    crossings: Sequence[FrontCrossing] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        document: dict[str, Any] = {
            "studies": list(self.studies),
            "difference": self.difference,
            "estimate": None if self.estimate is None else self.estimate.to_json(),
        }
        if self.ranges is not None:
            document["ranges"] = [part.to_json() for part in self.ranges]
        if self.crossings is not None:
            document["crossings"] = [crossing.to_json() for crossing in self.crossings]
        return document


@dataclass(frozen=True, kw_only=True)
class AttainedEstimate:
    """Best value at a level without the luck of the trial that looks best.

    Attributes:
        value: of the objective.
        interval: 95 % interval of it.
    """

    value: float
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"value": self.value, "interval": list(self.interval)}


@dataclass(frozen=True, kw_only=True)
class Attained:
    """Best value of an objective at a level of another.

    Attributes:
        value: of the objective, as its trial measured it.
        interval: that trial's own, as everywhere else; None if it has none.
        trial: number of the trial that attains it.
        estimate: of what the study attains there; None where nothing is known of its spread.
    """

    value: float
    interval: tuple[float, float] | None
    trial: int
    estimate: AttainedEstimate | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "trial": self.trial,
            "estimate": None if self.estimate is None else self.estimate.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class AttainmentLevel:
    """A level of one objective, and the best of another that every study attains there.

    Attributes:
        given: name of the objective that is given.
        level: of it.
        attained: name of the objective that is attained.
        reached: study -> what it attains; None where no trial reaches the level.
    """

    given: str
    level: float
    attained: str
    reached: Mapping[str, Attained | None]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        reached = {study: None if best is None else best.to_json() for study, best in self.reached.items()}
        return {self.given: self.level, self.attained: reached}


@dataclass(frozen=True, kw_only=True)
class PublishedSetup:
    """Published points of one set-up beside the studies.

    Attributes:
        name: of the set-up.
        setup: column -> value.
        hypervolume: of the points.
        front: those that no other dominates.
        points: all of them.
        doubts: texts on doubtful rows.
        departures: study -> in what it differs from the set-up.
    """

    name: str
    setup: Mapping[str, str]
    hypervolume: float
    front: Sequence[TrialRecord]
    points: Sequence[PublishedTrial]
    doubts: Sequence[str]
    departures: Mapping[str, Sequence[str]]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "name": self.name,
            "setup": dict(self.setup),
            "hypervolume": self.hypervolume,
            "front": [trial.to_json() for trial in self.front],
            "points": [point.to_json() for point in self.points],
            "doubts": list(self.doubts),
            "departures": {study: list(texts) for study, texts in self.departures.items()},
        }


@dataclass(frozen=True, kw_only=True)
class FrontComparison:
    """Fronts of several studies, and published points, set against each other.

    Attributes:
        reference_point: one for all: name of an objective -> value.
        studies: the studies.
        dominated: a -> b -> share of a's front that b dominates.
        pairs: every two studies.
        attainment: at round levels of the first objective; empty with one objective.
        published: set-ups of papers, which stay out of all of the above.
        outcome: the conclusion, in a sentence.
        notes: what to know before believing it.
        warnings: study -> warning of its trials -> their numbers.
    """

    reference_point: Mapping[str, float]
    studies: Sequence[ComparedStudy]
    dominated: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    pairs: Sequence[ComparedPair] = ()
    attainment: Sequence[AttainmentLevel] = ()
    published: Sequence[PublishedSetup] = ()
    outcome: str = ""
    notes: Sequence[str] = ()
    warnings: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)

    def pair(self, first: str, second: str) -> ComparedPair:
        """Return the pair of two studies, in whichever order it lists them."""
        return next(pair for pair in self.pairs if set(pair.studies) == {first, second})

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as `sweeper compare` prints it."""
        return {
            "reference_point": dict(self.reference_point),
            "studies": [study.to_json() for study in self.studies],
            "dominated": {a: dict(shares) for a, shares in self.dominated.items()},
            "pairs": [pair.to_json() for pair in self.pairs],
            "attainment": [level.to_json() for level in self.attainment],
            "published": [setup.to_json() for setup in self.published],
            "outcome": self.outcome,
            "notes": list(self.notes),
            "warnings": {
                study: {text: list(numbers) for text, numbers in texts.items()}
                for study, texts in self.warnings.items()
            },
        }
