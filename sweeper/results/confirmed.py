"""What fresh measurements say of a study: means, intervals, and who is truly on the front."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweeper.search.replicates import combine
from sweeper.statistics.hypervolume import hypervolume
from sweeper.statistics.membership import front_probability

Record = dict[str, Any]

LIKELY = 0.5  # from here on a trial is more likely on the front than not


def add_confirmed(records: Record, attacks: Any, results: Mapping[int, Sequence[Record]]) -> None:
    """Add the fresh `results` (trial -> results of its seeds) to `records`.

    Each confirmed trial gets ``confirmed``: ``seeds``, ``values`` and ``interval`` over the fresh seeds alone
    (the search's own measurement made it a candidate, so it is too good on average and does not count),
    ``attacks``, and ``front_probability``: the probability that none of the other confirmed trials dominates
    it, None where no trial has two seeds. `records` gets ``confirmed``: ``attacks`` (used beside the study's
    own), ``seeds`` (the fewest of a trial), ``hypervolume`` of the fresh means; None without any.
    """
    objectives: dict[str, str] = records["objectives"]
    names, directions = list(objectives), list(objectives.values())
    records["confirmed"] = None
    known = {trial["number"]: trial for trial in records["trials"] if trial["state"] == "complete"}
    for trial in records["trials"]:
        trial["confirmed"] = None
    there = {number: list(found) for number, found in results.items() if number in known}
    if not there:
        return
    rows = [[[one["values"][name] for name in names] for one in found] for found in there.values()]
    sure = front_probability([np.array(row) for row in rows], directions)
    for position, (number, found) in enumerate(there.items()):
        whole = combine(sorted(found, key=lambda one: int(one["replicate"])))
        known[number]["confirmed"] = {
            "seeds": len(found),
            "values": {name: whole["values"][name] for name in names},
            "interval": whole["interval"],
            "attacks": whole.get("attacks"),
            "replicates": whole["replicates"],
            "front_probability": None if sure is None else round(float(sure[position]), 4),
        }
    means = np.array([np.mean(row, axis=0) for row in rows])
    reference = [records["reference_point"][name] for name in names]
    records["confirmed"] = {
        "attacks": attacks,
        "seeds": min(len(found) for found in there.values()),
        "hypervolume": float(hypervolume(means, directions, reference)),
    }
