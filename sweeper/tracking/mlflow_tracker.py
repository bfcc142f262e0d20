"""MLflow as a view of a study: a parent run the study, a child run the trial. The only importer of mlflow."""

import functools
import json
import logging
import math
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord
from sweeper.storage.databases import alone, write_ahead
from sweeper.storage.home import Home
from sweeper.study.study import Study
from sweeper.tracking.mlflow_address import REMEDY, bounded_client, brief, is_database
from sweeper.tracking.mlflow_analyses import log_analyses
from sweeper.tracking.mlflow_database import make_database
from sweeper.tracking.mlflow_fields import (
    LONGEST,
    confirmed_under,
    figures,
    fresh_figures,
    interval_ends,
    kinds_of_data,
    milliseconds,
    pair_figures,
    study_tags,
    table,
    tags,
    view,
)
from sweeper.tracking.mlflow_moved import follow_home
from sweeper.tracking.mlflow_runs import Known, Runs
from trainables.errors import ConfigError
from trainables.storage.disk import load
from trainables.storage.urls import redact

EXPERIMENT = "sweeper"
OPEN_SECONDS = 60.0  # in which MLflow has made the tables of a new database, even on a busy machine
RETRY_SECONDS = (1.0, 3.0)  # pauses before opening is tried again

_TABLES = [{"path": f"{name}.json", "type": "table"} for name in ("trials", "front")]
_BATCH_METRICS, _BATCH_PARAMS = 1000, 100

VIEW = "trials"  # what the page of runs opens with, an address of MLflow's "share view"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
MODEL = "model"  # the folder of a released target among a run's artifacts


def _may_be_a_race(error: Exception, uri: str) -> bool:
    """Return whether an error of opening can come of another driver that opens the same store now."""
    if isinstance(error, OSError):
        return False
    return not uri.startswith("http") or "RESOURCE_ALREADY_EXISTS" in str(getattr(error, "error_code", ""))


class Tracker:
    """Writes a study into MLflow from a thread of its own, so that no trial waits for it.

    Trials are written when they end, whole and once: a run that a killed driver left half written is deleted
    and written again. If the server goes away, `problem` says so and the rest is left to the next start.
    Where artifacts cannot be written, `problem` says so once, and all numbers and tags are there.
    afresh: delete the study's runs first, and write all of them anew. begins: what is there of a study of
    this name, and has trials, is of one that was deleted since; it stays as it is.
    """

    def __init__(self, study: Study, home: Home, *, afresh: bool = False, begins: bool = False) -> None:
        self._study, self._home, self._afresh, self._begins = study, home, afresh, begins
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._known: dict[int, Known] = {}
        self.problem = ""
        self._no_artifacts = ""
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def check_open(self) -> None:
        """Raise `ConfigError` if MLflow cannot be opened; wait for it, `OPEN_SECONDS` at most."""
        self._opened.wait(OPEN_SECONDS)
        if self.problem:
            failure = self.problem.partition("; the study")[0]
            raise ConfigError(f"expected MLflow to take the records, but {failure}; {REMEDY}")

    def trial(self, trial: TrialRecord) -> None:
        """Write a trial that ended unless MLflow has it."""
        self._queue.put(functools.partial(self._trial, trial))

    def finish(self, records: StudyRecords, report: Path | None) -> None:
        """Write what is missing, mark the front, put tables and the report on the parent run; wait for it."""
        for trial in records.trials:
            if trial.state != "running":
                self.trial(trial)
        self._queue.put(functools.partial(self._finish, records, report))
        self._end()

    def close(self) -> None:
        """Wait until everything handed over is written. A study that was not finished counts as killed."""
        self._queue.put(self._kill)
        self._end()

    def _end(self) -> None:
        """Wait until everything handed over is written. What comes later is not."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        """Write what comes through the queue. After a first failure nothing more is tried."""
        try:
            self._open()
            self._opened.set()
            while (step := self._queue.get()) is not None:
                step()
        except Exception as error:
            self.problem = (
                f"MLflow at {redact(self._home.tracking)} failed ({type(error).__name__}: {brief(error)}); "
                "the study is safe, and what MLflow lacks is written at the next start"
            )
        finally:
            self._opened.set()

    def _open(self) -> None:
        """Open the store, the experiment and the parent run, and note what is there already.

        Of two drivers that open one new store at the same time one may fail, and tries again.
        """
        bounded_client()
        for pause in (*RETRY_SECONDS, None):
            try:
                self._open_experiment()
                break
            except Exception as error:
                if pause is None or not _may_be_a_race(error, self._home.tracking):
                    raise
                time.sleep(pause)
        if self._afresh:
            self._delete()
        self._parent = self._find_parent()
        self._steps = len(self._client.get_metric_history(self._parent, "hypervolume"))
        for run in self._runs.of_trials(self._parent):
            self._known[int(run.data.tags["trial.number"])] = Known.of(run)

    def _open_experiment(self) -> None:
        from mlflow import MlflowClient

        for noisy in ("mlflow", "alembic"):  # after the import, which sets them itself
            logging.getLogger(noisy).setLevel(logging.ERROR)
        uri = self._home.tracking
        with alone(uri):
            make_database(uri)
            self._client = MlflowClient(tracking_uri=uri)
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                # A server has a place of its own; with a database the client would take ./mlruns, wherever
                # this process happens to be.
                own = self._home.artifacts.as_uri() if is_database(uri) else None
                self._experiment = self._client.create_experiment(EXPERIMENT, artifact_location=own)
            else:
                self._experiment = experiment.experiment_id
                if not os.environ.get("MLFLOW_TRACKING_URI"):
                    follow_home(self._home, EXPERIMENT)
                if experiment.lifecycle_stage == "deleted":  # in the pages: its name cannot be used again
                    self._client.restore_experiment(self._experiment)
            self._runs = Runs(self._client, self._experiment)
            shown = view(self._study.objectives, self._study.searched)
            if experiment is None or experiment.tags.get(VIEW_TAG) != shown:
                self._client.set_experiment_tag(self._experiment, VIEW_TAG, shown)
            write_ahead(uri)

    def _delete(self) -> None:
        for parent in self._runs.of_study(self._study.name, self._home.storage_digest):
            for run in (*self._runs.of_trials(parent.info.run_id), parent):
                self._client.delete_run(run.info.run_id)

    def _find_parent(self) -> str:
        """Return the study's own run, the newest of that name, or a new one."""
        for found in self._runs.of_study(self._study.name, self._home.storage_digest):
            run = str(found.info.run_id)
            if not (self._begins and self._runs.of_trials(run)):
                self._client.update_run(run, status="RUNNING")
                return run
        tags = {"study": self._study.name, "storage": self._home.storage_digest, "kind": "study"}
        tags |= study_tags(self._study)
        run = str(self._client.create_run(self._experiment, tags=tags, run_name=self._study.name).info.run_id)
        self._attach(self._client.log_dict, run, self._study.definition(), "study.json")
        return run

    def _attach(self, log: Callable[..., Any], *arguments: Any) -> bool:
        """Write an artifact with ``log(*arguments)``; return whether it is there.

        A first failure is kept for `problem`, and no other is tried: where artifacts go is often another
        place than the numbers, with rights of its own, and each try may wait for it.
        """
        if self._no_artifacts:
            return False
        try:
            log(*arguments)
        except Exception as error:
            self._no_artifacts = f"{type(error).__name__}: {brief(error)}"
        return not self._no_artifacts

    def _trial(self, trial: TrialRecord) -> None:
        known = self._known.get(trial.number)
        if known is not None:
            if known.ended:
                return
            self._client.delete_run(known.run)
        from mlflow.entities import Metric, Param

        now = milliseconds(trial.finished)
        run = self._client.create_run(
            self._experiment,
            start_time=milliseconds(trial.started),
            tags={"mlflow.parentRunId": self._parent, **tags(self._study, trial)},
            run_name=f"{self._study.name} {trial.number}",
        ).info.run_id
        params = [Param(name, str(value)[:LONGEST]) for name, value in trial.params.items()]
        metrics = [Metric(name, value, now, step) for name, value, step in figures(trial)]
        for first in range(0, max(len(metrics), 1), _BATCH_METRICS):
            self._client.log_batch(
                run, metrics[first : first + _BATCH_METRICS], params[:_BATCH_PARAMS] if first == 0 else ()
            )
        self._datasets(run, trial.data)
        status = "FAILED" if trial.state == "failed" else "FINISHED"
        self._client.set_terminated(run, status, now)
        self._known[trial.number] = Known(run, True, pairs=pair_figures(trial))

    def _datasets(self, run: str, fingerprints: Mapping[str, str]) -> None:
        """Name the images that a run used: MLflow shows them in a column, and finds runs by their digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        kinds = kinds_of_data(self._study)
        used = [
            DatasetInput(
                Dataset(
                    name=f"{role} {kinds.get(role, '')}".strip(),
                    digest=digest[:36],
                    source_type="local",
                    source=role,
                ),
                [InputTag("mlflow.data.context", role)],
            )
            for role, digest in fingerprints.items()
        ]
        if used:
            self._client.log_inputs(run, used)

    def _finish(self, records: StudyRecords, report: Path | None) -> None:
        from mlflow.entities import Metric

        from sweeper.report.front_plot import front_svg
        from sweeper.results.comparing.compare import shared_reference
        from sweeper.results.records import flat_row
        from sweeper.statistics.hypervolume import growth

        now = milliseconds(None)
        counted = {trial.number for trial in records.complete if trial.feasible}
        reference = shared_reference([records])
        corner = [reference[name] for name in records.objectives]
        steps = growth(records.trials, counted, records.objectives, corner, by=records.choosing())
        curve = [Metric("hypervolume", step.volume, now, number) for number, step in enumerate(steps, 1)]
        for first in range(self._steps, len(curve), _BATCH_METRICS):
            self._client.log_batch(self._parent, curve[first : first + _BATCH_METRICS])
        for name, value in study_tags(self._study, records.trials).items():
            self._client.set_tag(self._parent, name, value)
        self._client.log_metric(self._parent, "trials", float(len(records.complete)), now, len(steps))
        for trial in records.trials:
            if trial.number in self._known:
                known, analyses = self._known[trial.number], records.analyses_of(trial.number)
                self._mark(known, trial)
                self._intervals(known, trial, records)
                self._ratios(known, trial)
                log_analyses(self._client, known.run, analyses, self._attach)
        rows = [flat_row(trial) for trial in records.trials]
        for name, chosen in (("trials", rows), ("front", [row for row in rows if row["on_front"]])):
            tables = self._attach(self._client.log_dict, self._parent, table(chosen), f"{name}.json")
        if tables:
            self._client.set_tag(self._parent, "mlflow.loggedArtifacts", json.dumps(_TABLES))
        if counted:
            self._attach(self._client.log_text, self._parent, front_svg([records]), "front.svg")
        if report is not None and report.exists():
            self._attach(self._client.log_artifact, self._parent, str(report))
        self._client.set_terminated(self._parent, "FINISHED")
        if self._no_artifacts:
            self.problem = (
                f"MLflow at {redact(self._home.tracking)} has all numbers, but its artifacts cannot be "
                f"written ({self._no_artifacts}); once they can: sweeper log {self._study.name} --rebuild "
                f"{self._home.option}"
            )

    def _kill(self) -> None:
        self._client.set_terminated(self._parent, "KILLED")

    def _mark(self, known: Known, trial: TrialRecord) -> None:
        """Say of a run whether it is on the front, with what only members have. The tag comes last."""
        member = trial.on_front
        if self._study.tracking.models and member and not known.model:
            self._model(known.run, trial.number)
        elif known.model and not member:
            self._drop_model(known.run)
        confirmed = confirmed_under(trial)
        if known.confirmed != confirmed:
            gone = dict.fromkeys(known.fresh, math.nan)  # MLflow takes no number back
            self._write_again(known.run, gone | fresh_figures(trial))
            self._client.set_tag(known.run, "confirmed", confirmed)
        if self._study.tracking.images and member and not known.images:
            self._reconstructions(known.run, trial)
        if known.on_front != member:
            self._client.set_tag(known.run, "on_front", str(member).lower())

    def _intervals(self, known: Known, trial: TrialRecord, records: StudyRecords) -> None:
        """Write a run's intervals again once the noise of training seeds is known, which they then hold."""
        noise = records.seed_noise
        if noise is None or not trial.interval:
            return
        held = f"{records.interval_holds}: {noise.probit:.4g} probit, {noise.accuracy:.4g}"
        if known.intervals != held:
            self._write_again(known.run, interval_ends(trial))
            self._client.set_tag(known.run, "intervals", held)

    def _ratios(self, known: Known, trial: TrialRecord) -> None:
        """Write a run's figures against the undefended trial, which may end later, or be another by then."""
        gone = {name: math.nan for name, value in known.pairs.items() if not math.isnan(value)}
        ratios = {n: v for n, v in (gone | pair_figures(trial)).items() if known.pairs.get(n) != v}
        if ratios:
            self._write_again(known.run, ratios)

    def _write_again(self, run: str, numbers: Mapping[str, float]) -> None:
        """Write numbers of a run that has ended, which take the place of those that it had."""
        from mlflow.entities import Metric

        now = milliseconds(None)
        self._client.log_batch(run, [Metric(name, value, now, 0) for name, value in numbers.items()])

    def _model(self, run: str, number: int) -> None:
        """Log the target of a member as `sweeper export` writes it; where it is not here, say so in a tag."""
        from sweeper.results.export import export

        with tempfile.TemporaryDirectory() as folder:
            try:
                place, names = Path(folder) / MODEL, self._study.tracking.images
                released = export(self._home, self._study.name, number, place, names=names)
            except ConfigError as error:
                self._client.set_tag(run, "model", f"missing: {error}"[:LONGEST])
                return
            if self._attach(self._client.log_artifacts, run, str(released), MODEL):
                self._client.set_tag(run, "model", "logged")

    def _drop_model(self, run: str) -> None:
        """Take back the target of a trial that is no longer on the front: it has no business there."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        uri = self._client.get_run(run).info.artifact_uri
        artifacts = get_artifact_repository(uri, tracking_uri=self._home.tracking)
        if self._attach(artifacts.delete_artifacts, MODEL):
            self._client.delete_tag(run, "model")

    def _reconstructions(self, run: str, trial: TrialRecord) -> None:
        """Log the first restart's reconstructions as one row of images; where they are not, say so in a tag.

        Only if the study allows images.
        """
        import torch

        try:  # gone, or damaged
            images = load(Path(trial.artifacts.get("attack", "")) / "reconstructions.pt")["images"][0, :12]
        except ConfigError as error:
            self._client.set_tag(run, "images", f"missing: {error}"[:LONGEST])
            return
        row = torch.cat(list(images), dim=-1).permute(1, 2, 0).contiguous().numpy()
        if self._attach(self._client.log_image, run, row, "reconstructions.png"):
            self._client.set_tag(run, "images", "logged")
