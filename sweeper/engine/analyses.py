"""Analyses of a study's trials: measured over Ray as trials are, or here if there is one, and kept."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sweeper.engine.collect import collect
from sweeper.engine.machines.cluster import TrialResources, allot, chosen_address, cluster
from sweeper.engine.machines.niceness import niceness, workers_start_at_zero
from sweeper.engine.machines.resources import Node
from sweeper.engine.progress import Display, spell
from sweeper.engine.runner import run_trials
from sweeper.engine.sweep import check_places, full_disk
from sweeper.results.records import study_records
from sweeper.search.analysis_notes import WRITTEN, AnalysisNote, Row, digest, keep, kept
from sweeper.search.ask_tell import PlannedRuns, TrialRequest
from sweeper.search.reading import stored_notes, write_note
from sweeper.storage.home import Home
from sweeper.study.study import Study
from trainables.errors import ConfigError, TrialError
from trainables.storage.store import content_key

if TYPE_CHECKING:
    from trainables.analyses.base import Analysis, TrainingAnalysis


@dataclass(frozen=True, kw_only=True)
class Target:
    """A trained target, and how it is attacked and judged.

    trial: its number in the study; None for a target from a file. document: of the trial. target, attacks,
    judges: content keys of what is finished, attacks by name ("" for a single one), judges in order; what is
    not there is made, but for the target. warnings: those that the sweep stored of the trial.
    """

    trial: int | None
    document: dict[str, Any]
    target: str
    attacks: Mapping[str, str] = field(default_factory=dict)
    judges: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def who(self) -> str:
        """Return what the display calls it."""
        return "target" if self.trial is None else f"trial {self.trial}"

    @property
    def stages(self) -> dict[str, Any]:
        """Return the keys of its finished stages, as `analyze_trial` takes them."""
        return {"target": self.target, "attacks": dict(self.attacks), "judges": list(self.judges)}


class AnalysisSource(PlannedRuns):
    """Trials to analyze; a `TrialSource`. Each one's figures are kept when they are there."""

    def __init__(
        self, study: str, url: str, analysis: "Analysis | TrainingAnalysis", targets: Sequence[Target]
    ) -> None:
        super().__init__(len(targets), range(len(targets)))
        self._study, self._url, self._analysis, self._targets = study, url, analysis, list(targets)
        self.rows: dict[int | None, list[Row]] = {}

    @property
    def complete(self) -> int:
        """Return how many trials have their figures."""
        return len(self.rows)

    def request(self, number: int) -> TrialRequest:
        """Return the run of target `number`."""
        target = self._targets[number]
        options = {"analysis": self._analysis.kind, **target.stages}
        return TrialRequest(number, {}, target.document, target.who, options, is_trial=False)

    def tell(self, number: int, result: Mapping[str, Any]) -> str:
        """Keep the figures of a trial; raise `ConfigError` where it cannot be analyzed as it is."""
        if "refused" in result:
            raise ConfigError(result["refused"])
        target, rows = self._targets[number], list(result["rows"])
        assert target.trial is not None, "figures are kept of trials alone"
        note = AnalysisNote(measured_on(self._analysis, target), rows)
        keep(self._url, self._study, self._analysis.kind, target.trial, note)
        self.ended(number)
        self.rows[target.trial] = rows
        return ""

    def fail(self, number: int, assignment: dict[str, Any], reason: str, trace: str = "") -> None:
        """Note that a trial gave no figures; the next start tries it again."""
        self.ended(number)
        self.failures.append(f"{self._targets[number].who} was not analyzed: {reason}")

    def values(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return the objectives that an analysis gives: none."""
        return {}


def measured_on(analysis: "Analysis | TrainingAnalysis", target: Target) -> str:
    """Return the key of all that decides the figures of a trial."""
    from trainables.stages.analysis import VERSION
    from trainables.storage.content import with_content

    parts = {"version": VERSION, "analysis": with_content(analysis), "trial": target.document}
    return content_key(**parts, **target.stages)


def analyze_trials(
    study: Study,
    home: Home,
    analysis: "Analysis | TrainingAnalysis",
    targets: Sequence[Target],
    display: Display,
    *,
    address: str | None = None,
) -> tuple[list[Row], list[str]]:
    """Return a row ``{"trial", "attack", **figures}`` for every attack of every target, and what went wrong.

    Figures that the study keeps are read; the others are measured over Ray, with the resources of trials, or
    in this process if they are of one trial and no cluster is named. They are then kept with the study, and
    report and MLflow are written. Raises as `confirm` does, and `TrialError` if no trial gave any.
    """
    notes = stored_notes(home.storage, study.name)
    stored = kept(notes).get(analysis.kind, {})
    rows: dict[int | None, list[Row]] = {
        target.trial: stored[target.trial].rows
        for target in targets
        if target.trial in stored and stored[target.trial].of == measured_on(analysis, target)
    }
    missing = [target for target in targets if target.trial not in rows]
    for target in targets:
        if target.trial in rows:
            display.ended(target.who, "analyzed before")
    problems: list[str] = []
    if missing or notes.get(WRITTEN) != digest(notes):
        with home.driver(study.name) as held, full_disk(home):
            if missing:
                check_places(study, home, address)
                source = AnalysisSource(study.name, home.storage, analysis, missing)
                _measure(study, home, source, analysis, display, address, held)
                rows |= source.rows
                problems += source.failures
            problems += _write(study, home)
    if not rows:
        raise TrialError(problems[0])
    return [
        {"trial": target.trial, **row} for target in targets for row in rows.get(target.trial, ())
    ], problems


def _measure(
    study: Study,
    home: Home,
    source: AnalysisSource,
    analysis: "Analysis | TrainingAnalysis",
    display: Display,
    address: str | None,
    held: Any,
) -> None:
    """Measure all trials of `source`: here if it is one and no cluster is named, else over Ray."""
    from trainables.analyzed import analyze_document
    from trainables.runtime.run import device_of_this_process

    if source.budget == 1 and chosen_address(address) is None:
        request = source.ask()
        assert request is not None, "a new source has its trial to hand out"
        report = Shown(display, request.name)
        root, device = str(home.store.root), device_of_this_process()
        result = analyze_document(
            request.document, store_root=root, device=device, report=report, **request.options
        )
        source.tell(request.number, result)
        display.ended(request.name, "analyzed")
        return
    display.say("starting Ray" if address is None else f"connecting to Ray at {address}")
    nice = niceness(study.resources, address)
    alone = not getattr(analysis, "repeatable", True)
    with workers_start_at_zero(), cluster(address) as nodes:
        allotment = allot_analyses(study, nodes, source.budget, alone=alone)
        run_trials(
            study,
            home,
            source,
            allotment,
            display,
            analyze_document,
            held=held,
            niceness=nice,
            describe=_ended,
        )


def allot_analyses(study: Study, nodes: Sequence[Node], count: int, *, alone: bool) -> TrialResources:
    """Return what each of `count` trials gets while it is analyzed: what a trial gets, in one process.

    Few trials share the machines among them. alone: one at a time, as for seconds that others would lengthen.
    """
    gpus = study.resources.gpus_per_trial
    resources = replace(
        study.resources, attack_shards=1, gpus_per_trial=gpus if gpus == "auto" else min(1, gpus)
    )
    if alone:
        return allot(replace(resources, concurrent=1), nodes)
    allotment = allot(resources, nodes)
    return allotment if allotment.concurrent <= count else allot(replace(resources, concurrent=count), nodes)


def _ended(record: Mapping[str, Any], seconds: float) -> str:
    """Return one line about a trial that was analyzed."""
    if record["state"] == "failed":
        return f"failed: {record['reason']}"
    return f"analyzed after {spell(seconds)}"


def _write(study: Study, home: Home) -> list[str]:
    """Write report and MLflow with all kept figures; return what could not be written, for the next time."""
    from sweeper.report.report import write_report

    records, problems = study_records(home, study.name), list[str]()
    try:
        collect(records, home.store)
    except TrialError as error:
        problems.append(f"the report lacks what other machines made: {error}")
    report = home.report(study.name)
    write_report([records], report, images=study.tracking.images)
    if study.tracking.mlflow:
        from sweeper.tracking.mlflow_tracker import Tracker

        with closing(Tracker(study.as_begun(records.definition), home)) as tracker:
            tracker.finish(records, report)
        problems += filter(None, [tracker.problem])
    if not problems:
        write_note(home.storage, study.name, WRITTEN, digest(stored_notes(home.storage, study.name)))
    return problems


class Shown:
    """Passes what a stage reports on to the display, with the seconds of the stage."""

    def __init__(self, display: Display, who: str) -> None:
        self._display, self._who, self._stage, self._began = display, who, "", 0.0

    def __call__(self, stage: str, done: int, total: int, **metrics: float) -> None:
        if stage != self._stage:
            self._stage, self._began = stage, time.monotonic()
        self._display.stage(self._who, stage, done, total, time.monotonic() - self._began)
