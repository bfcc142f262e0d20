"""Runs of a derived study: what each trial measured under each training seed, person by person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces.domains import Switch
from search_spaces.space import decode, grid
from sweeper.results.record_types import StudyRecords
from sweeper.results.stage_files import Index, rates_of_seeds
from sweeper.study.study import Study
from trainables.errors import TrialError
from trainables.storage.store import to_json

Floats = NDArray[np.float64]

POINT, EPOCH = "target.freeze_point", "target.kept_epoch"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One target of a study, under one training seed.

    Attributes:
        settings: path -> value of what the study varies; of cases, their name -> the name of the case.
        depth: share of the network's stages that are frozen, in [0, 1].
        seed: number of the training seed.
        test_accuracy: in [0, 1].
        rates: of each attacked person by the study's rule, (N,) in [0, 1]; all runs have the same people.
        attacks: name -> the same by that attack alone.
        threat_models: name of an attack -> what it sees of the target.
        trained_params: parameters of the target that were trained; None if not known.
    """

    settings: Mapping[str, Any]
    depth: float
    seed: int
    test_accuracy: float
    rates: Floats
    attacks: Mapping[str, Floats]
    threat_models: Mapping[str, str]
    trained_params: int | None = None

    @property
    def point(self) -> str:
        """Return the freeze point."""
        return str(self.settings[POINT])

    @property
    def training(self) -> tuple[Any, ...]:
        """Return which training this is a checkpoint of: all its settings but the epoch, and its seed."""
        return (*(item for item in self.settings.items() if item[0] != EPOCH), self.seed)


def read_runs(study: Study, records: StudyRecords) -> list[Run]:
    """Return the runs of all finished trials of a derived study whose space is a grid.

    Raises `TrialError` for a trial whose evaluations are not on this machine.
    """
    from trainables.architectures import freeze_points

    points = freeze_points(study.trial["target"]["architecture"])
    index: Index = {}
    runs = []
    for trial in records.complete:
        seeds = rates_of_seeds(trial, index)
        if seeds is None:
            raise TrialError(
                f"expected the evaluations of trial {trial.number} of '{study.name}' on this machine, found "
                "not all of them; analyze where the sweep ran, or with its store at the same place"
            )
        settings = _settings(study, trial.params)
        for seed in seeds:
            runs.append(
                Run(
                    settings=settings,
                    depth=points.index(settings.get(POINT, "none")) / (len(points) - 1),
                    seed=seed.replicate,
                    test_accuracy=seed.test_accuracy,
                    rates=seed.rates,
                    attacks=seed.attacks,
                    threat_models={name: str(own["threat_model"]) for name, own in trial.attacks.items()},
                    trained_params=trial.trained_params,
                )
            )
    return runs


def _settings(study: Study, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the trial with `params`: a case is known by the values that it sets."""
    for raw in grid(study.domains):
        assignment = decode(study.domains, raw)
        if all(params.get(path) == to_json(value) for path, value in assignment.items()):
            return {
                key: raw[key] if isinstance(domain, Switch) else assignment[key]
                for key, domain in study.domains.items()
            }
    raise TrialError(f"a trial of '{study.name}' has parameters that its space does not have: {dict(params)}")


def by(runs: Sequence[Run], path: str) -> dict[Any, list[Run]]:
    """Return the runs by their value at `path`, in the order in which values come first."""
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.settings[path], []).append(run)
    return groups


def rates(runs: Sequence[Run]) -> Floats:
    """Return (S, N): the rates of runs that differ in their seeds."""
    return np.stack([run.rates for run in runs])


def accuracy(runs: Sequence[Run]) -> float:
    """Return the mean test accuracy."""
    return float(np.mean([run.test_accuracy for run in runs]))
