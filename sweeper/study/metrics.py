"""Metrics of a trial, in one table: objectives, constraints, tables, report, MLflow and cards read it.

Those of reconstructions are the registry ``trainables.metrics.METRICS``, read as text, since importing it
imports torch. The others are described here in the same form.
"""

import dataclasses
import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import trainables
from sweeper.study.static_registry import Entry, registry_entries
from trainables.errors import ConfigError

Direction = Literal["maximize", "minimize"]

ROOT = Path(trainables.__file__).parents[1]
SHARE = "share"


@dataclass(frozen=True, kw_only=True)
class TrialMetric:
    """A figure of a trial, described as ``trainables.metrics.base.Metric`` describes its own.

    Attributes:
        name: under which a trial's result holds it.
        summary: one line.
        source: the paper, or "this project".
        direction: the better one for who releases the target.
        low: the lowest that it can be; None without a bound.
        high: the highest that it can be; None without a bound.
        unit: of the figure; a "share" is written in per cent.
        label: its name in words.
        short_label: the head of a column.
        explanation: a clause for the model card that says what is measured.
        objective: whether a study may search for it, or limit it.
        auxiliary: whether it only helps to read other figures; then it is no column of its own.
        optional: whether only trials that name it under ``metrics`` have it.
        reconstruction: whether it is measured on the reconstructions of one attack.
    """

    name: str
    summary: str
    source: str = "this project"
    direction: Direction
    low: float | None
    high: float | None
    unit: str
    label: str = ""
    short_label: str = ""
    explanation: str = ""
    objective: bool = False
    auxiliary: bool = False
    optional: bool = False
    reconstruction: bool = False

    def __post_init__(self) -> None:
        label = self.label or self.name.replace("_", " ")
        filled = {
            "label": label,
            "short_label": self.short_label or label,
            "explanation": self.explanation or self.summary,
        }
        for name, text in filled.items():
            object.__setattr__(self, name, text)


def _accuracy(name: str, summary: str, **more: Any) -> TrialMetric:
    return TrialMetric(
        name=name, summary=summary, direction="maximize", low=0.0, high=1.0, unit=SHARE, **more
    )


OF_TARGETS = (
    _accuracy("test_accuracy", "share of private test images classified correctly", objective=True),
    _accuracy(
        "test_accuracy_per_identity",
        "mean over people of the share of their private test images classified correctly",
    ),
    _accuracy(
        "validation_accuracy", "share of private validation images classified correctly", objective=True
    ),
    _accuracy("train_accuracy", "share of private training images classified correctly"),
    *(
        TrialMetric(
            name=name,
            summary=summary,
            direction="minimize",
            low=0.0,
            high=1.0,
            unit=SHARE,
            label=label,
            auxiliary=True,
        )
        for name, label, summary in (
            (
                "probe_accuracy",
                "pre-training probe",
                "share of private validation images that a linear classifier on the frozen features of the "
                "pre-training names rightly",
            ),
            ("probe_test_accuracy", "pre-training probe, test images", "the same of private test images"),
            (
                "probe_chance",
                "pre-training probe, guessing",
                "share of private validation images of the person with the most",
            ),
        )
    ),
    _accuracy("judge_test_accuracy", "share of private test images that the judge classifies correctly"),
)
OF_JUDGES = (
    _accuracy("agreement", "share of reconstructions in which another judge names whom the first names"),
    TrialMetric(
        name="false_positive_rate",
        summary="share of what the first judge accepts that another rejects",
        direction="minimize",
        low=0.0,
        high=1.0,
        unit=SHARE,
    ),
    TrialMetric(
        name="equal_error_rate",
        summary="share of private test images that a judge verifies wrongly, strangers as often as people",
        direction="minimize",
        low=0.0,
        high=1.0,
        unit=SHARE,
    ),
    _accuracy(
        "true_acceptance", "share of private test images above a judge's threshold for their own person"
    ),
    TrialMetric(
        name="false_acceptance",
        summary="share of strangers that a judge's threshold stands for",
        direction="minimize",
        low=0.0,
        high=1.0,
        unit=SHARE,
    ),
)
OF_WORK = (
    TrialMetric(
        name="queries",
        summary="images that the target was asked about, by an attack without gradients and by its prior",
        direction="maximize",
        low=0.0,
        high=None,
        unit="queries",
    ),
    TrialMetric(
        name="train_seconds",
        summary="seconds that the target trained, as measured",
        direction="minimize",
        low=0.0,
        high=None,
        unit="seconds",
        objective=True,
    ),
)
# Of a defended trial beside the undefended one, once both are there. No objectives: the ratio of the
# literature has no bound, and grows for targets that cost nothing.
OF_PAIRS = (
    TrialMetric(
        name="delta_ratio",
        summary="fall of attack accuracy over fall of test accuracy, against the undefended target",
        source="Ho et al., CVPR 2024 (TL-DMI)",
        direction="maximize",
        low=None,
        high=None,
        unit="ratio",
        label="Δ ratio",
    ),
    TrialMetric(
        name="training_time_ratio",
        summary="seconds of training over those of the undefended target, as measured",
        direction="minimize",
        low=0.0,
        high=None,
        unit="ratio",
    ),
)


@functools.cache
def trial_metrics() -> Mapping[str, TrialMetric]:
    """Return name -> metric: of targets, ``attack_accuracy``, of reconstructions, of judges, of work.

    ``attack_accuracy`` is ``attack_accuracy_top1`` of a trial's strongest attack, or the mean over attacks.
    Raises `ConfigError` if the text of a registered metric does not say what the table needs.
    """
    measured = reconstruction_metrics()
    top1 = measured["attack_accuracy_top1"]
    attack = dataclasses.replace(
        top1, name="attack_accuracy", label="attack accuracy", objective=True, reconstruction=False
    )
    return {
        metric.name: metric
        for metric in (*OF_TARGETS, attack, *measured.values(), *OF_JUDGES, *OF_WORK, *OF_PAIRS)
    }


@functools.cache
def reconstruction_metrics() -> Mapping[str, TrialMetric]:
    """Return name -> metric of the registered metrics, in their order."""
    entries = registry_entries(ROOT, "trainables.metrics", "METRICS")
    return {name: _read(name, entry) for name, entry in entries.items()}


def _read(name: str, entry: Entry) -> TrialMetric:
    taken = {
        field.name: entry.value(field.name)
        for field in dataclasses.fields(TrialMetric)
        if field.name not in ("name", "reconstruction")
    }
    if taken["direction"] not in ("maximize", "minimize"):
        raise ConfigError(
            f"the direction of the metric '{name}' must be maximize or minimize; got {taken['direction']!r} "
            "(trainables/metrics)"
        )
    return TrialMetric(name=name, reconstruction=True, **taken)


def find_metric(name: str) -> TrialMetric | None:
    """Return the metric under which a trial's result holds a figure, None for a name that is no metric's.

    A figure of one attack among several, ``<attack>.<metric>``, is that metric's. Of the judge that counts a
    trial holds ``judge_<metric>``, as of the others ``judge_2.<metric>``.
    """
    own = name.rpartition(".")[2]
    judged = own.removeprefix("judge_")
    if own not in trial_metrics() and judged != own and judged in {metric.name for metric in OF_JUDGES}:
        metric = trial_metrics()[judged]
        return dataclasses.replace(metric, name=own, label=f"judge {metric.label}")
    return trial_metrics().get(own)


def objective_metrics() -> dict[str, TrialMetric]:
    """Return the metrics that a study may search for, or limit."""
    return {name: metric for name, metric in trial_metrics().items() if metric.objective}


def column_metrics(measured: Collection[str] = ()) -> list[TrialMetric]:
    """Return the metrics that a table of attacks has a column for; optional ones if they are `measured`."""
    return [
        metric
        for metric in reconstruction_metrics().values()
        if not metric.auxiliary and (metric.name in measured or not metric.optional)
    ]
