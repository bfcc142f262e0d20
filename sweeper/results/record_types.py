"""Records of studies. Their defaults say what may be missing; nothing else has to."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:  # scipy takes a moment
    from sweeper.statistics.seed_noise import PooledNoise

from sweeper.results.controls.figures import budget_curve
from sweeper.results.controls.remedies import remedies
from sweeper.results.person_record import PersonRecord
from sweeper.results.trial_record import VALIDATION, TrialRecord, present


@dataclass(frozen=True, kw_only=True)
class StudyConfirmation:
    """Fresh measurements of a study.

    Attributes:
        attacks: documents of the attacks beside the study's own.
        seeds: the fewest of a confirmed trial.
        hypervolume: of the fresh means.
        fresh: what was measured anew, of "seeds", "split", "prior", "judge", and "people" where others were
            attacked than in the search.
    """

    attacks: Sequence[Mapping[str, Any]] | None
    seeds: int
    hypervolume: float
    fresh: Sequence[str] = ("seeds",)

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON-ready data."""
        return {
            "attacks": self.attacks,
            "seeds": self.seeds,
            "hypervolume": self.hypervolume,
            "fresh": list(self.fresh),
        }


@dataclass(frozen=True, kw_only=True)
class StudyRecords:
    """A stored study.

    Attributes:
        study: its name.
        objectives: name -> "maximize" or "minimize", of what is reported.
        searched: the same of what the search saw, by which the front is chosen; empty if it is not known.
        reference_point: name of an objective -> the worst that it can be, or that was measured.
        hypervolume: of the feasible trials.
        trials: all of them, by number.
        confirmed: fresh measurements; None without any.
        controls: what the study's controls measured (``trainables.controls.results.ControlResults`` as JSON);
            None where they were not measured.
        definition: the document that the study keeps; None if it is not known.
        seed_noise: noise of training seeds, which the intervals hold; None where it is not known.
        interval_holds: sentence on what the intervals hold, or lack.
        people: what was recovered of each person over the front, the worst off first; None if not known.
        panels: what readers of panels said (``sweeper.results.panels.figures``); None where nobody did.
        analyses: name -> rows ``{"trial", "attack", **figures}`` of the trials that it looked at, by number.
    """

    study: str
    objectives: Mapping[str, str]
    searched: Mapping[str, str] = field(default_factory=dict)
    reference_point: Mapping[str, float] = field(default_factory=dict)
    hypervolume: float = 0.0
    trials: Sequence[TrialRecord] = ()
    confirmed: StudyConfirmation | None = None
    controls: Mapping[str, Any] | None = None
    definition: Mapping[str, Any] | None = None
    seed_noise: "PooledNoise | None" = None
    interval_holds: str = ""
    people: Sequence[PersonRecord] | None = None
    panels: Mapping[str, Any] | None = None
    analyses: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def complete(self) -> list[TrialRecord]:
        """Return the trials that have a result that counts."""
        return [trial for trial in self.trials if trial.complete]

    def analyses_of(self, number: int) -> dict[str, list[Mapping[str, Any]]]:
        """Return name -> rows of the analyses that looked at trial `number`."""
        own = {name: [row for row in rows if row["trial"] == number] for name, rows in self.analyses.items()}
        return {name: rows for name, rows in own.items() if rows}

    @property
    def members(self) -> list[TrialRecord]:
        """Return the trials on the front, by number."""
        return [trial for trial in self.trials if trial.on_front]

    @property
    def on_validation(self) -> bool:
        """Return whether the front was chosen by validation images, where test images give the figures."""
        return any(name not in self.objectives for name in self.searched)

    def searched_values(self, trial: TrialRecord) -> list[float]:
        """Return the figures of a trial that decide whether it is on the front, one an objective."""
        figures = trial.searched if self.on_validation else trial.values
        return [figures[name] if name in figures else figures[VALIDATION] for name in self.objectives]

    def choosing(self) -> dict[int, list[float]] | None:
        """Return number -> `searched_values` of the complete trials; None where they are what is reported."""
        if not self.on_validation:
            return None
        return {trial.number: self.searched_values(trial) for trial in self.complete}

    @property
    def verdict(self) -> str | None:
        """Return "tells" or "cannot tell"; None where the controls were not measured."""
        return self._verdict.get("verdict")

    @property
    def reason(self) -> str | None:
        """Return why, in words; None where the controls were not measured."""
        return self._verdict.get("reason")

    @property
    def still_rising(self) -> bool | None:
        """Return whether more steps of the attack would find more; None where that was not measured."""
        rising: bool | None = ((self.controls or {}).get("still_rising") or {}).get("undefended")
        return rising

    @property
    def _verdict(self) -> Mapping[str, Any]:
        return (self.controls or {}).get("verdict") or {}

    @property
    def judges(self) -> list[dict[str, Any]]:
        """Return the judges as far as trials know them, the one that counts first; empty before any trial.

        Each is ``{"kind", "test_accuracy", "agreement", "false_positive_rate"}``, the last two None for the
        first: the share of all reconstructions in which it names the same person as the first judge, and the
        share of those that the first accepts which it rejects. They are of the complete trials together, all
        of which count by what they attacked alike.
        """
        described = ((self.definition or {}).get("trial") or {}).get("judge")
        kinds = [
            judge.get("kind") for judge in (described if isinstance(described, list) else [described or {}])
        ]
        rows = []
        for number, kind in enumerate(kinds, 1):
            prefix = judge_prefix(number)
            accuracy = self._of_judges(f"{prefix}test_accuracy")
            if not accuracy:
                break
            agreement = self._of_judges(f"{prefix}agreement") if number > 1 else []
            rows.append(
                {
                    "kind": kind,
                    "test_accuracy": accuracy[0],
                    "agreement": sum(agreement) / len(agreement) if agreement else None,
                    "false_positive_rate": self._false_positives(prefix) if number > 1 else None,
                }
            )
        return rows

    def of_judge(self, number: int, name: str) -> float | None:
        """Return a figure of a judge by its number, 1 for the one that counts; None if no trial knows it."""
        return next(iter(self._of_judges(f"{judge_prefix(number)}{name}")), None)

    def _of_judges(self, name: str) -> list[float]:
        figures = (trial.metrics.get(name) for trial in self.complete)
        return [figure for figure in figures if figure is not None]

    def _false_positives(self, prefix: str) -> float | None:
        """Return the share of what the first judge accepts, over all trials, that another rejects."""
        accepted = rejected = 0.0
        for trial in self.complete:
            rate = trial.metrics.get(f"{prefix}false_positive_rate")
            if rate is not None:
                weight = trial.metrics.get("attack_accuracy_top1") or 0.0
                accepted, rejected = accepted + weight, rejected + weight * rate
        return rejected / accepted if accepted else None

    def to_json(self) -> dict[str, Any]:
        """Return the study as `sweeper front` prints it."""
        return {
            "study": self.study,
            "objectives": dict(self.objectives),
            "reference_point": dict(self.reference_point),
            "hypervolume": self.hypervolume,
            "trials": [trial.to_json() for trial in self.trials],
            "confirmed": None if self.confirmed is None else self.confirmed.to_json(),
            "verdict": self.verdict,
            "reason": self.reason,
            "power": (self.controls or {}).get("power"),
            "remedies": [remedy.to_json() for remedy in remedies(self.controls)],
            "budget": budget_curve((self.controls or {}).get("undefended")),
            "still_rising": self.still_rising,
            "judges": self.judges,
            "controls": None if self.controls is None else dict(self.controls),
            "seed_noise": None if self.seed_noise is None else dataclasses.asdict(self.seed_noise),
            "interval_holds": self.interval_holds,
            "people": None if self.people is None else [person.to_json() for person in self.people],
            "panels": None if self.panels is None else dict(self.panels),
            "searched": dict(self.searched),
            "analyses": {name: [dict(row) for row in rows] for name, rows in self.analyses.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the study that `to_json` made `document` of; what is missing there is missing here."""
        parts = present(cls, document)
        parts["trials"] = tuple(TrialRecord.from_json(trial) for trial in document.get("trials") or ())
        if document.get("confirmed"):
            parts["confirmed"] = StudyConfirmation(**document["confirmed"])
        if document.get("seed_noise"):
            from sweeper.statistics.seed_noise import PooledNoise

            parts["seed_noise"] = PooledNoise(**document["seed_noise"])
        if document.get("people") is not None:
            parts["people"] = tuple(PersonRecord.from_json(person) for person in document["people"])
        return cls(**parts)


def judge_prefix(number: int) -> str:
    """Return what the figures of a judge begin with in a trial's metrics; 1 is the judge that counts."""
    return "judge_" if number == 1 else f"judge_{number}."
