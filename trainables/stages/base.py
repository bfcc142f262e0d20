"""The stages of a trial, each made once and kept under a key of all that went into it."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainables.config import TrialConfig
from trainables.runtime.memory import keep_freed_memory
from trainables.storage.machine import note_machine
from trainables.storage.resume import Resume
from trainables.storage.store import Make, Stage, Store, content_key

# Raised when a change of the code changes what a stage computes, so that older results are not reused.
VERSIONS = {
    "pretrained": 1,
    "prior": 1,
    "judge": 1,
    "target": 1,
    "auxiliary": 1,
    "attack": 1,
    "verdict": 1,
}


def _common(config: TrialConfig, stage: str) -> dict[str, Any]:
    return {"version": VERSIONS[stage], "seed": config.seed, "image_size": config.image_size}


def on_machine(device: str, make: Make) -> Make:
    """Return `make`, which also notes in the folder of the stage on what it was made: no part of its key."""

    def noted(folder: Path) -> dict[str, Any]:
        keep_freed_memory()
        result = make(folder)
        note_machine(folder, device)
        return result

    return noted


@contextmanager
def unfinished(
    store: Store, stage: str, parts: dict[str, Any], names: Sequence[str] = ()
) -> Iterator[Resume]:
    """Lend where work on a stage is saved while it is made, and clear it away once the stage is there.

    names: of the people, as in `get_for_people`. A process that is killed leaves it for the next.
    """
    folder = store.root / stage / f"{content_key(**parts, people=list(names))}.unfinished"
    yield Resume(folder)
    shutil.rmtree(folder, ignore_errors=True)


def get_for_people(
    store: Store, stage: str, parts: dict[str, Any], names: Sequence[str], make: Make
) -> Stage:
    """Return the stage for `parts`, made of images of the people `names`, in label order.

    The names enter the key only where a stage of the same images lies there already under other names: they
    decide the split, and who a label is. So no key of finished work moves, and none is taken for another's.
    """

    def noted(folder: Path) -> dict[str, Any]:
        return {**make(folder), "identities": list(names)}

    stored = store.get(stage, parts, noted)
    if stored.result.get("identities", list(names)) == list(names):
        return stored
    return store.get(stage, {**parts, "identities": list(names)}, noted)
