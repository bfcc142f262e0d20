"""Distance of a study's pre-training from the private people: its figures, and what they mean in words."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.results import formatting
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import VALIDATION, Ends, TrialRecord

PROBE = "probe_accuracy"
NEAR = 0.75  # of what the undefended target is above guessing
BACKBONE = ("target.architecture", "target.normalization", "image_size")  # knobs that change its features


@dataclass(frozen=True, kw_only=True)
class PretrainingDistance:
    """How well the frozen features of a pre-training tell the private people apart.

    Attributes:
        pretraining: its kind, with what the space varies of it.
        accuracy: of a linear classifier on these features, the share in [0, 1] of private validation images
            that it names rightly (`trainables.stages.pretraining_distance`).
        interval: Wilson's 95 % interval of it over the images; None if not known.
        test_accuracy: the same of private test images; None if not known.
        chance: of always naming the person with the most validation images.
        undefended: validation accuracy of the most accurate undefended target of the study, trials and
            controls; None where there is none.
        trials: numbers of those that start from it.
    """

    pretraining: str
    accuracy: float
    interval: Ends | None
    test_accuracy: float | None
    chance: float
    undefended: float | None
    trials: tuple[int, ...]

    @property
    def near(self) -> bool | None:
        """Return whether the pre-training is near the private people; None without an undefended target, and
        where `interval` holds the limit.

        It is where the probe, above guessing, reaches three quarters of what the undefended target does:
        what tells the people apart was learnt elsewhere then, whatever is frozen. The limit is a convention
        between two measurements on real faces of 64 pixels: MobileNetV2 of ImageNet, with which leakage falls
        with the freeze point, reaches half of it (0.33 of test images of 214 people, undefended 0.66); a face
        recogniser, MobileFaceNet of CASIA-WebFace, all of it (0.99, of 57 of these people).
        """
        if self.limit is None:
            return None
        low, high = self.interval or (self.accuracy, self.accuracy)
        return None if low < self.limit <= high else self.accuracy >= self.limit

    @property
    def limit(self) -> float | None:
        """Return the probe's accuracy from which on it is near; None without an undefended target."""
        if self.undefended is None or self.undefended <= self.chance:
            return None
        return self.chance + NEAR * (self.undefended - self.chance)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data, with ``near``."""
        document = dataclasses.asdict(self)
        interval = None if self.interval is None else list(self.interval)
        return {**document, "interval": interval, "trials": list(self.trials), "near": self.near}


def distances(records: StudyRecords) -> list[PretrainingDistance]:
    """Return the distance of every pre-training of a study, in the order of trials, as far as measured."""
    rows: dict[tuple[Any, ...], list[int]] = {}
    for trial in records.trials:
        if trial.metrics.get(PROBE) is not None:
            rows.setdefault(_row(records, trial), []).append(trial.number)
    undefended = max(_undefended(records), default=None)
    return [
        PretrainingDistance(
            pretraining=name,
            accuracy=accuracy,
            interval=interval,
            test_accuracy=tested,
            chance=chance or 0.0,
            undefended=undefended,
            trials=tuple(numbers),
        )
        for (name, accuracy, interval, tested, chance), numbers in rows.items()
    ]


def distance_of(records: StudyRecords, trial: TrialRecord) -> PretrainingDistance | None:
    """Return the distance of the pre-training that a trial starts from; None if it was not measured."""
    return next((row for row in distances(records) if trial.number in row.trials), None)


def distance_sentence(distance: PretrainingDistance) -> str:
    """Return the figures in a sentence, and what they mean as far as that is known."""
    shown = formatting.ranged(PROBE, distance.accuracy, distance.interval)
    beside = [f"guessing names {formatting.percent(distance.chance)}"]
    if distance.test_accuracy is not None:
        beside.insert(0, f"of test images {formatting.percent(distance.test_accuracy)}")
    if distance.undefended is not None:
        beside.append(f"the undefended target {formatting.percent(distance.undefended)}")
    meaning = {
        None: "" if distance.limit is None else f"; whether that is near is not told: {_between(distance)}",
        True: f"; that is near: above guessing {NEAR:.0%} or more of what the undefended target reaches",
        False: f"; that is far: above guessing less than {NEAR:.0%} of what the undefended target reaches",
    }[distance.near]
    return (
        f"pre-training '{distance.pretraining}': a linear classifier on its frozen features names {shown} of "
        f"private validation images rightly ({', '.join(beside)}){meaning}"
    )


def distance_risk(distance: PretrainingDistance | None) -> str:
    """Return the warning of a near pre-training, or of one that rather is; "" for a far or unknown one."""
    if distance is None or distance.limit is None or distance.accuracy < distance.limit:
        return ""
    doubt = "" if distance.near else ", if this is one,"
    return (
        f"near pre-training{doubt} is a risk of its own: the frozen features of "
        f"'{distance.pretraining}' alone name {formatting.percent(distance.accuracy)} of private validation "
        "images rightly, so that a head on them knows these people at every freeze point: do not count on "
        "freezing alone, or take a pre-training further from them"
    )


def _between(distance: PretrainingDistance) -> str:
    return f"the interval holds {formatting.percent(distance.limit or 0.0)}, from which on it is"


def _row(records: StudyRecords, trial: TrialRecord) -> tuple[Any, ...]:
    ends = trial.interval.get(PROBE)
    return (
        _name(records.definition, trial.params),
        trial.metrics[PROBE],
        None if ends is None else tuple(ends),
        trial.metrics.get("probe_test_accuracy"),
        trial.metrics.get("probe_chance"),
    )


def _name(definition: Mapping[str, Any] | None, params: Mapping[str, Any]) -> str:
    """Return the kind of a pre-training, with the knobs that the space varies of it and of its network."""
    template = ((definition or {}).get("trial") or {}).get("pretraining") or {}
    kind = params.get("pretraining.kind") or template.get("kind") or "unknown"
    varied = [
        f"{path.removeprefix('pretraining.')} {formatting.format_number(value)}"
        for path, value in params.items()
        if (path.startswith("pretraining.") and path != "pretraining.kind") or path in BACKBONE
    ]
    return ", ".join([str(kind), *varied])


def _undefended(records: StudyRecords) -> Iterator[float]:
    """Yield the validation accuracies of the undefended targets of a study."""
    figures = [trial.metrics.get(VALIDATION) for trial in records.complete if formatting.undefended(trial)]
    figures.append(((records.controls or {}).get("undefended") or {}).get(VALIDATION))
    yield from (figure for figure in figures if figure is not None)
