"""Copy to the driver's machine what reports, `pick` and `export` read of the work of others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables.storage.store import Store


def collect(records: Mapping[str, Any], store: Store) -> None:
    """Copy the stages of the trials on the front, and all judges, priors and verdicts: few, or small.

    Nothing is done where the machines share their store, and so have no mirror. The targets and
    reconstructions of the trials that are not on the front stay where they are.
    """
    if store.remote is None:
        return
    for trial in records["trials"]:
        if not trial["on_front"]:
            continue
        for measurement in (trial, *(trial.get("replicates") or ())):
            for folder in (measurement.get("artifacts") or {}).values():
                store.fetch(Path(folder).parent.name, Path(folder).name)
    for stage in ("judge", "prior", "verdict"):
        for key in store.remote.keys(stage):
            store.fetch(stage, key)
