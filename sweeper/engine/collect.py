"""Copy to the driver's machine what reports, `pick` and `export` read of the work of others."""

from pathlib import Path

from sweeper.results.record_types import StudyRecords
from trainables.storage.store import Store


def collect(records: StudyRecords, store: Store) -> None:
    """Copy the stages of the trials on the front, and all judges, priors, verdicts and opinions.

    The latter are few, or small.

    Nothing is done where the machines share their store, and so have no mirror. The targets and
    reconstructions of the trials that are not on the front stay where they are.
    """
    if store.remote is None:
        return
    for trial in records.members:
        for artifacts in (trial.artifacts, *(replicate.artifacts for replicate in trial.replicates)):
            for folder in artifacts.values():
                store.fetch(Path(folder).parent.name, Path(folder).name)
    for stage in ("judge", "judge_measured", "prior", "verdict", "opinion"):
        for key in store.remote.keys(stage):
            store.fetch(stage, key)
