"""The pre-trained backbone that targets start from, as a stage."""

import functools
from pathlib import Path
from typing import Any

from trainables.config import TrialConfig
from trainables.method import FILE, knobs_marked
from trainables.pretraining.dataset import OnDataset
from trainables.runtime.progress import Report, silent
from trainables.runtime.run import Run
from trainables.stages.base import _common, on_machine, unfinished
from trainables.stages.data import load_data, may_share, pretraining_warnings
from trainables.storage.content import named_versions, with_content
from trainables.storage.disk import save
from trainables.storage.resume import Resume
from trainables.storage.store import Stage, Store, content_key

DIGESTS = ".digests"  # in a store: what the files of pre-training sets hold


def make_pretrained(
    config: TrialConfig, *, store: Store, device: str = "cpu", report: Report = silent
) -> Stage:
    """Return the weights that targets start from."""

    def make(folder: Path, resume: Resume) -> dict[str, Any]:
        weights = config.pretraining.stages_state(
            config.target.architecture,
            config.image_size,
            normalization=config.target.normalization,
            run=Run(seed=config.seed, device=device, report=report, resume=resume),
        )
        save(weights, folder / "stages.pt")
        return {"weights": weights is not None}

    _check_disjoint(config, store)
    parts = pretrained_parts(config, store.root / DIGESTS)
    with unfinished(store, "pretrained", parts) as resume:
        made = on_machine(device, functools.partial(make, resume=resume))
        return store.get("pretrained", parts, made)


def _check_disjoint(config: TrialConfig, store: Store) -> None:
    """Raise `ConfigError` for a pre-training set that holds private images; once for each pair of them.

    The backbone's own key knows nothing of private images, so that a stored one says nothing of these.
    """
    if not isinstance(config.pretraining, OnDataset):
        return
    parts = {
        "private": load_data(config).private_key,
        "pretraining": pretraining_key(config, store.root / DIGESTS),
        "image_size": config.image_size,
        "allow": may_share(config.private, config.pretraining.data),
    }
    store.get("disjoint", parts, on_machine("cpu", lambda _: {"warnings": pretraining_warnings(config)}))


def pretraining_key(config: TrialConfig, memory: Path | None = None) -> str | None:
    """Return a key of what pre-training reads, of a data set or a file; None where it reads nothing here."""
    pretraining = config.pretraining
    if isinstance(pretraining, OnDataset):
        return content_key(data=with_content(pretraining.data, memory))
    if knobs_marked(pretraining, FILE):
        return content_key(pretraining=with_content(pretraining, memory))
    return None


def pretrained_parts(config: TrialConfig, memory: Path | None = None) -> dict[str, Any]:
    """Return all that the backbone depends on; memory: see `trainables.storage.digests`."""
    return {
        **_common(config, "pretrained"),
        "pretraining": with_content(config.pretraining, memory),
        "architecture": config.target.architecture,
        **named_versions(config.target),
        "normalization": config.target.normalization,
    }
