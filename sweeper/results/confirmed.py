"""Fresh measurements of a study: means, intervals, and the probability of being on the front."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sweeper.results.record_types import StudyConfirmation, StudyRecords
from sweeper.results.trial_record import TrialConfirmation
from sweeper.search.replicates import combine
from sweeper.statistics.hypervolume import hypervolume
from sweeper.statistics.membership import front_probability
from trainables.results import json_ready

LIKELY = 0.5  # from here on a trial is more likely on the front than not

Result = Mapping[str, Any]


def with_confirmation(
    records: StudyRecords,
    attacks: Sequence[Mapping[str, Any]] | None,
    results: Mapping[int, Sequence[Result]],
) -> StudyRecords:
    """Return `records` with the fresh `results` (trial -> results of its seeds), if there are any.

    attacks: documents of those that were used beside the study's own. Means, intervals and the hypervolume
    are those of the fresh seeds alone: the search's own measurement made a trial a candidate, so it is too
    good on average and does not count.
    """
    names, directions = list(records.objectives), list(records.objectives.values())
    finished = {trial.number for trial in records.complete}
    fresh = {number: list(seeds) for number, seeds in results.items() if number in finished}
    if not fresh:
        return records
    rows = [[[seed["values"][name] for name in names] for seed in seeds] for seeds in fresh.values()]
    probabilities = front_probability([np.array(row) for row in rows], directions)
    confirmed = {
        number: _confirmation(
            seeds, names, None if probabilities is None else round(float(probabilities[position]), 4)
        )
        for position, (number, seeds) in enumerate(fresh.items())
    }
    means = np.array([np.mean(row, axis=0) for row in rows])
    reference = [records.reference_point[name] for name in names]
    return replace(
        records,
        trials=tuple(replace(trial, confirmed=confirmed.get(trial.number)) for trial in records.trials),
        confirmed=StudyConfirmation(
            attacks=attacks,
            seeds=min(len(seeds) for seeds in fresh.values()),
            hypervolume=float(hypervolume(means, directions, reference)),
            fresh=next(iter(confirmed.values())).fresh,
        ),
    )


def _confirmation(
    seeds: Sequence[Result], names: Sequence[str], probability: float | None
) -> TrialConfirmation:
    combined = json_ready(combine(sorted(seeds, key=lambda seed: int(seed["replicate"]))))
    return TrialConfirmation.from_json(
        {
            **{key: combined.get(key) for key in ("attacks", "replicates")},
            "interval": {name: ends for name, ends in combined["interval"].items() if name in names},
            "seeds": len(seeds),
            "fresh": seeds[0].get("fresh"),
            "values": {name: combined["values"][name] for name in names},
            "front_probability": probability,
        }
    )
