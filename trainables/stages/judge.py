"""The judge, as a stage: fitted once for all trials."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.datasets.base import Images
from trainables.runtime.progress import Report, silent
from trainables.runtime.run import Run
from trainables.stages.base import _common, get_for_people
from trainables.stages.data import load_data
from trainables.storage.content import with_content
from trainables.storage.store import Stage, Store


def make_judge(config: TrialConfig, *, store: Store, device: str = "cpu", report: Report = silent) -> Stage:
    """Return the judge, fitted on all private training images."""
    data = load_data(config)
    seed = judge_seed(config)

    def make(folder: Path) -> dict[str, Any]:
        saved = config.judge.fit(data.split, run=Run(seed=seed, device=device, report=report))
        torch.save(saved, folder / "judge.pt")
        torch.save({"images": _examples(data.split.train)}, folder / "examples.pt")
        model = config.judge.restore(saved, data.split, device)
        return {"test_accuracy": model.test_accuracy}

    return get_for_people(store, "judge", judge_parts(config), data.split.train.names, make)


def judge_seed(config: TrialConfig) -> int:
    """Return the seed that the judge is fitted under."""
    return config.seed if config.judge_seed is None else config.judge_seed


def judge_parts(config: TrialConfig) -> dict[str, Any]:
    """Return all that the judge depends on."""
    return {
        **_common(config, "judge"),
        "seed": judge_seed(config),
        "judge": with_content(config.judge),
        "private": load_data(config).private_key,
        "validation": config.validation,
        "test": config.test,
    }


def _examples(train: Images) -> Tensor:
    """Return one private image per identity, uint8 (K, 3, S, S): the first of each."""
    first = [int((train.labels == label).nonzero()[0]) for label in range(train.classes)]
    return train.pixels[torch.tensor(first)]
