"""Runs of an experiment in MLflow: a study's own, and below it those of its trials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sweeper.study.metrics import OF_PAIRS
from sweeper.tracking.mlflow_fields import FRESH


@dataclass(frozen=True)
class Runs:
    """Finds runs. client: an ``MlflowClient``; experiment: the id of the experiment that they are in."""

    client: Any
    experiment: str

    def of_study(self, name: str, storage: str) -> list[Any]:
        """Return the study's own runs, the newest first. storage: digest of where the study lies."""
        found = self.search(f"tags.study = '{name}' and tags.storage = '{storage}'")
        return sorted(found, key=lambda run: int(run.info.start_time), reverse=True)

    def of_trials(self, parent: str) -> list[Any]:
        """Return the runs of a study's trials. parent: the id of the study's own run."""
        return self.search(f"tags.`mlflow.parentRunId` = '{parent}'")

    def search(self, condition: str) -> list[Any]:
        """Return all runs that fit a filter of MLflow's, whatever their number."""
        runs, token = [], None
        while True:
            page = self.client.search_runs(
                [self.experiment], filter_string=condition, max_results=1000, page_token=token
            )
            runs += list(page)
            token = page.token
            if not token:
                return runs


@dataclass(frozen=True)
class Known:
    """A trial's run that MLflow already has.

    model, images: whether its target and its pictures are there. confirmed: which confirmation its `fresh`
    figures, by name, are of. intervals: what its intervals were said to hold when they were written. pairs:
    its figures against the undefended trial.
    """

    run: str
    ended: bool
    on_front: bool = False
    model: bool = False
    images: bool = False
    confirmed: str = ""
    intervals: str = ""
    fresh: tuple[str, ...] = ()
    pairs: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Any) -> Self:
        """Return what a run, as MLflow gives it, has."""
        seen = run.data.tags
        return cls(
            run.info.run_id,
            run.info.status in ("FINISHED", "FAILED"),
            on_front=seen.get("on_front") == "true",
            model=seen.get("model") == "logged",
            images=seen.get("images") == "logged",
            confirmed=seen.get("confirmed", ""),
            intervals=seen.get("intervals", ""),
            fresh=tuple(name for name in run.data.metrics if name.startswith(FRESH)),
            pairs={m.name: run.data.metrics[m.name] for m in OF_PAIRS if m.name in run.data.metrics},
        )
