"""The judges, as stages: each is fitted once for all trials."""

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.judges.base import Judge, JudgeModel
from trainables.runtime.progress import Report, silent
from trainables.runtime.run import Run
from trainables.stages.base import _common, get_for_people, on_machine, unfinished
from trainables.stages.data import load_data
from trainables.storage.content import with_content
from trainables.storage.disk import load, save
from trainables.storage.resume import Resume
from trainables.storage.store import Stage, Store


def make_judge(
    config: TrialConfig,
    judge: Judge | None = None,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage:
    """Return a judge, fitted on all private training images; `judge` is the one that counts unless given."""
    judge = judge or config.judge
    data = load_data(config)
    seed = judge_seed(config)

    def make(folder: Path, resume: Resume) -> dict[str, Any]:
        run = Run(seed=seed, device=device, report=report, resume=resume)
        saved = judge.fit(data.split, run=run)
        model = judge.restore(saved, data.split, device)
        _check_people(judge, model, data.split.train, device)
        save(saved, folder / "judge.pt")
        save({"images": _examples(data.split.train)}, folder / "examples.pt")
        return {"test_accuracy": model.test_accuracy}

    parts, names = judge_parts(config, judge), data.split.train.names
    with unfinished(store, "judge", parts, names) as resume:
        made = on_machine(device, functools.partial(make, resume=resume))
        return get_for_people(store, "judge", parts, names, made)


def make_judges(
    config: TrialConfig, *, store: Store, device: str = "cpu", report: Report = silent
) -> list[Stage]:
    """Return all judges of the trial, the one that counts first."""
    return [make_judge(config, judge, store=store, device=device, report=report) for judge in config.judges]


def load_judge(config: TrialConfig, judge: Judge, fitted: Stage, device: str) -> tuple[JudgeModel, Tensor]:
    """Return a fitted judge, and the features (M, F) of the private training images as it sees them."""
    saved = load(fitted.path / "judge.pt")
    return judge.restore(saved, load_data(config).split, device), saved["train_features"]


def check_judges(config: TrialConfig) -> None:
    """Raise `ConfigError` for a judge that cannot be used on these images: before any work."""
    for judge in config.judges:
        judge.check(config.image_size)


def judge_seed(config: TrialConfig) -> int:
    """Return the seed that judges are fitted under."""
    return config.seed if config.judge_seed is None else config.judge_seed


def judge_parts(config: TrialConfig, judge: Judge | None = None) -> dict[str, Any]:
    """Return all that a judge depends on; `judge` is the one that counts unless given."""
    judge = judge or config.judge
    version = judge.version_for(config.image_size)
    return {
        **_common(config, "judge"),
        "seed": judge_seed(config),
        "judge": with_content(judge) | ({} if version == 1 else {"version": version}),
        "private": load_data(config).private_key,
        "validation": config.validation,
        "test": config.test,
        **_dealt(config),
    }


def _dealt(config: TrialConfig) -> dict[str, Any]:
    """Return the seed that dealt the split, where it is neither the judge's nor in the data's key."""
    in_key = config.split_seed not in (None, config.seed)
    return {} if in_key or judge_seed(config) == config.seed else {"dealt": config.seed}


def _check_people(judge: Judge, model: JudgeModel, train: Images, device: str) -> None:
    """Raise `ConfigError` for a judge that does not tell apart the people of the private images."""
    size = train.pixels.shape[-1]
    told = model.logits(torch.zeros(1, 3, size, size, device=device)).shape[1]
    if told != train.classes:
        raise ConfigError(
            f"judge '{judge.kind}' expects to tell apart the {train.classes} people of the private images, "
            f"got a model that tells {told} apart (judge); all judges of a trial judge the same people: give "
            "it a model that was fitted on these, or leave it out"
        )


def _examples(train: Images) -> Tensor:
    """Return one private image per identity, uint8 (K, 3, S, S): the first of each."""
    first = [int((train.labels == label).nonzero()[0]) for label in range(train.classes)]
    return train.pixels[torch.tensor(first)]
