"""Opinions: what every judge of a trial makes of each reconstruction, and how far a judge is to be believed.

Beside the verdict of the judge that counts, and under keys of their own: a verdict stored before there were
opinions stays valid, and its reconstructions are looked at once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.judges.agreement import second_opinion as second_opinion
from trainables.judges.base import Judge, logits_and_features, outputs
from trainables.judges.verification import measured, references, scores
from trainables.metrics.attack_accuracy import interval95
from trainables.metrics.verified_accuracy import verified
from trainables.results import Interval
from trainables.runtime.progress import Report, silent
from trainables.stages.base import on_machine
from trainables.stages.data import load_data
from trainables.stages.judge import load_judge
from trainables.storage.disk import load
from trainables.storage.store import Stage, Store

VERSION = 1  # of both stages
MEASURED = ("equal_error_rate", "true_acceptance", "false_acceptance")  # among a trial's metrics


def make_measured(
    config: TrialConfig, judge: Judge, fitted: Stage, *, store: Store, device: str = "cpu"
) -> Stage:
    """Return how well a fitted judge tells the private test images' people apart.

    Its result is that of ``trainables.judges.verification.measured`` and ``test_accuracy``.
    """

    def make(_: Path) -> dict[str, Any]:
        split = load_data(config).split
        model, features = load_judge(config, judge, fitted, device)
        people = references(features, split.train.labels, split.train.classes)
        test = scores(outputs(model.features, split.test.pixels, device), people)
        return {"test_accuracy": model.test_accuracy, **measured(test, split.test.labels)}

    parts = {"version": VERSION, "judge": fitted.key}
    return store.get("judge_measured", parts, on_machine(device, make))


def make_opinion(
    config: TrialConfig,
    judge: Judge,
    fitted: Stage,
    attacked: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage:
    """Return a judge's first choice for each reconstruction, and its score for the attacked identity.

    ``choices`` and ``scores``: lists (R, N), of R restarts of the N ``identities``.
    """

    def make(_: Path) -> dict[str, Any]:
        model, features = load_judge(config, judge, fitted, device)
        train = load_data(config).split.train
        people = references(features, train.labels, train.classes)
        reconstructions = load(attacked.path / "reconstructions.pt")
        images: Tensor = reconstructions["images"]
        report("judge", 0, 1)
        flat, shape = images.flatten(0, 1), images.shape[:2]
        logits, seen = logits_and_features(model, flat, device)
        choices = logits.argmax(1).reshape(shape)
        every = scores(seen, people).reshape(*shape, -1)
        own = reconstructions["identities"].expand(shape).unsqueeze(2)
        report("judge", 1, 1)
        return {
            "identities": reconstructions["identities"].tolist(),
            "choices": choices.tolist(),
            "scores": every.gather(2, own).squeeze(2).tolist(),
        }

    parts = {"version": VERSION, "attack": attacked.key, "judge": fitted.key}
    return store.get("opinion", parts, on_machine(device, make))


@dataclass(frozen=True, kw_only=True)
class Opinions:
    """Opinions of all judges on the reconstructions of one attack, as figures.

    Attributes:
        metrics: ``attack_accuracy_verified`` of the first judge; of every other, ``judge_2.agreement`` and
            ``judge_2.false_positive_rate`` (see `second_opinion`), numbered as they are listed.
        interval: of the verified accuracy, over identities.
        seconds: that they took.
    """

    metrics: dict[str, float]
    interval: Interval | None = None
    seconds: float = 0.0


def gather_opinions(
    config: TrialConfig,
    fitted: Sequence[Stage],
    attacked: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Opinions:
    """Return what the judges `fitted`, in the order of the trial's, make of an attack's reconstructions.

    Nothing where those are not in the store.
    """
    if not (attacked.path / "reconstructions.pt").is_file():
        return Opinions(metrics={})
    opinions = [
        make_opinion(config, judge, stage, attacked, store=store, device=device, report=report)
        for judge, stage in zip(config.judges, fitted, strict=True)
    ]
    limit = make_measured(config, config.judge, fitted[0], store=store, device=device).result["threshold"]
    first, *others = (torch.tensor(opinion.result["choices"]) for opinion in opinions)
    identities = torch.tensor(opinions[0].result["identities"])
    shares = verified(first, torch.tensor(opinions[0].result["scores"]).double(), identities, limit)
    low, high = interval95(shares, len(first))
    metrics = {"attack_accuracy_verified": shares.mean().item()}
    for number, other in enumerate(others, 2):
        figures = second_opinion(first, other, identities)
        metrics |= {f"judge_{number}.{k}": figure for k, figure in figures.items() if figure is not None}
    seconds = sum(opinion.seconds for opinion in opinions)
    return Opinions(metrics=metrics, interval=Interval(low=low, high=high), seconds=seconds)


def judge_figures(
    config: TrialConfig, fitted: Sequence[Stage], *, store: Store, device: str = "cpu"
) -> dict[str, float]:
    """Return the figures of the judges themselves, for a trial's metrics: of the first under ``judge_…``, of
    the second under ``judge_2.…`` and so on."""
    figures: dict[str, float] = {}
    measures = measure_judges(config, fitted, store=store, device=device)
    for number, (stage, measure) in enumerate(zip(fitted, measures, strict=True), 1):
        prefix = "judge_" if number == 1 else f"judge_{number}."
        figures[f"{prefix}test_accuracy"] = stage.result["test_accuracy"]
        if measure is not None:
            figures |= {f"{prefix}{name}": measure.result[name] for name in MEASURED}
    return figures


def measure_judges(
    config: TrialConfig, fitted: Sequence[Stage], *, store: Store, device: str = "cpu"
) -> list[Stage | None]:
    """Return what `make_measured` says of each judge; None of one whose files are not in the store."""
    return [
        make_measured(config, judge, stage, store=store, device=device)
        if (stage.path / "judge.pt").is_file()
        else None
        for judge, stage in zip(config.judges, fitted, strict=True)
    ]
