"""Evaluation of an attack's reconstructions by a judge, and what else a trial asks for, as stages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.config import TrialConfig
from trainables.errors import TrialError
from trainables.judges.base import JudgeModel, logits_and_features, outputs
from trainables.metrics import METRICS
from trainables.metrics.attack_accuracy import accuracy_of
from trainables.metrics.base import Evidence, Metric, Skipped
from trainables.runtime.progress import Report, silent
from trainables.runtime.seeds import stream
from trainables.stages.base import VERSIONS, on_machine
from trainables.stages.data import load_data
from trainables.stages.judge import load_judge
from trainables.stages.target import load_target
from trainables.storage.content import with_content
from trainables.storage.disk import load
from trainables.storage.store import Stage, Store

WEAK_JUDGE = 0.9  # below this test accuracy a judge's verdict says little
METRIC_VERSION = 1  # of the stages of metrics that a trial asks for
TIMES_CHANCE = 3.0  # below so many times chance it says nothing

# Those of finished work, at version 1, enter no content key: a newer metric or version does.
FIRST_METRICS = (
    "attack_accuracy_top1",
    "attack_accuracy_top5",
    "attack_accuracy_std",
    "knn_distance",
    "target_confidence",
    "chance",
)


def metric_parts() -> dict[str, Any]:
    """Return what the metrics add to the evaluation's content key: nothing for the first at version 1."""
    newer = {
        name: metric.version
        for name, metric in METRICS.items()
        if not metric.beside_verdict and (name not in FIRST_METRICS or metric.version != 1)
    }
    return {"metrics": newer} if newer else {}


def useless_judge(judge: float, *, identities: int, target: float | None = None) -> str:
    """Return why a judge's verdict says nothing, "" if it may say something.

    judge, target: test accuracies in [0, 1]; the target's may not be known yet. It says nothing below three
    times chance, or with few identities half way from chance to 1, and below half the target's accuracy.
    """
    chance = 1 / identities
    limit = min(TIMES_CHANCE * chance, (1 + chance) / 2)
    if judge < limit:
        return (
            f"useless judge: its test accuracy is {judge:.3f}, below {limit:.3f} (chance among {identities} "
            f"people is {chance:.3f}); what it says of an attack is chance"
        )
    if target is not None and judge < target / 2:
        return (
            f"useless judge: its test accuracy is {judge:.3f}, below half the target's {target:.3f}; "
            "attack accuracy says nothing about the target"
        )
    return ""


def judge_warnings(judge: float, target: float | None = None, *, identities: int) -> list[str]:
    """Return what a reader must know of a judge; see `useless_judge`."""
    reason = useless_judge(judge, identities=identities, target=target)
    if reason:
        return [reason]
    if judge < WEAK_JUDGE:
        return [
            f"weak judge: its test accuracy is {judge:.3f}, below {WEAK_JUDGE}; attack accuracy is too low"
        ]
    if target is not None and judge < target:
        return [f"weak judge: its test accuracy {judge:.3f} is below the target's {target:.3f}"]
    return []


def score(
    judge: JudgeModel,
    target: Classifier,
    images: Tensor,
    identities: Tensor,
    private_features: Tensor,
    private_labels: Tensor,
    device: str,
) -> dict[str, Any]:
    """Return the judge's verdict on reconstructions: uint8 images (R, N, 3, S, S) of `identities` (N,).

    private_features (M, F), private_labels (M,): of the private training images, as the judge sees them.
    """
    restarts, count = images.shape[:2]
    flat = images.flatten(0, 1)
    logits, features = logits_and_features(judge, flat, device)
    with head_noise(target, stream(0, "confidence")):  # a noisy head gives the same figure every time
        seen = outputs(target, flat, device).softmax(dim=1)
    evidence = Evidence(
        reconstructions=images,
        identities=identities,
        logits=logits.reshape(restarts, count, -1),
        features=features.reshape(restarts, count, -1),
        confidences=seen.reshape(restarts, count, -1),
        private_features=private_features,
        private_labels=private_labels,
    )
    figures = {
        name: metric().measure(evidence) for name, metric in METRICS.items() if not metric.beside_verdict
    }
    accuracy = accuracy_of(evidence)
    if not torch.isfinite(logits).all():
        raise TrialError("the judge's logits of the reconstructions are not finite")
    return {
        "metrics": {name: figure for name, figure in figures.items() if figure is not None},
        "interval": list(accuracy.interval),
        "per_identity": accuracy.per_identity.tolist(),
        "restarts": restarts,
    }


def make_evaluation(
    config: TrialConfig,
    trained: Stage,
    attacked: Stage,
    judged: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage:
    """Return what the judge says of the reconstructions."""
    data = load_data(config)

    def make(_: Path) -> dict[str, Any]:
        saved = load(judged.path / "judge.pt")
        judge = config.judge.restore(saved, data.split, device)
        reconstructions = load(attacked.path / "reconstructions.pt")
        target = load_target(config, data, trained).to(device)
        report("judge", 0, 1)
        labels = data.split.train.labels
        result = score(
            judge,
            target,
            reconstructions["images"],
            reconstructions["identities"],
            saved["train_features"],
            labels,
            device,
        )
        report("judge", 1, 1, **result["metrics"])
        return result

    parts = {
        "version": VERSIONS["verdict"],
        "attack": attacked.key,
        "judge": judged.key,
        "target": trained.key,
        **metric_parts(),
    }
    return store.get("verdict", parts, on_machine(device, make))


@dataclass(frozen=True, kw_only=True)
class OptionalFigures:
    """Figures that a trial asked for.

    Attributes:
        metrics: name -> figure, of those that could be had.
        warnings: of each other one, why not.
        seconds: that they took.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    seconds: float = 0.0


def measure_optional(
    config: TrialConfig,
    judged: Stage,
    attacked: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> OptionalFigures:
    """Return the figures of `config.metrics` for an attack's reconstructions.

    What cannot be measured here is not stored: it is tried again once its weights are there.
    """
    if not config.metrics:
        return OptionalFigures()
    metrics: dict[str, float] = {}
    warnings: list[str] = []
    seconds = 0.0
    evidence = _LazyEvidence(config, judged, attacked, device)
    for number, metric in enumerate(config.metrics):
        report("metrics", number, len(config.metrics))
        try:
            stage = _measured(metric, judged, attacked, evidence, store, device)
        except Skipped as reason:
            warnings.append(f"not measured: {reason}")
            continue
        seconds += stage.seconds
        metrics[metric.kind] = stage.result["figure"]
    report("metrics", len(config.metrics), len(config.metrics))
    return OptionalFigures(metrics=metrics, warnings=list(dict.fromkeys(warnings)), seconds=seconds)


def _measured(
    metric: Metric, judged: Stage, attacked: Stage, evidence: "_LazyEvidence", store: Store, device: str
) -> Stage:
    def make(_: Path) -> dict[str, Any]:
        figure = metric.measure(evidence.get())
        if figure is None:
            raise Skipped(f"{metric.kind} has no value for these reconstructions")
        return {"figure": figure}

    # The keys of judge and attack hold the private data.
    parts = {
        "version": METRIC_VERSION,
        "metric": with_content(metric),
        "attack": attacked.key,
        "judge": judged.key,
    }
    return store.get("metric", parts, on_machine(device, make))


class _LazyEvidence:
    """Evidence that is computed when the first metric asks for it, and shared by all."""

    def __init__(self, config: TrialConfig, judged: Stage, attacked: Stage, device: str) -> None:
        self._config, self._judged, self._attacked, self._device = config, judged, attacked, device
        self._evidence: Evidence | None = None

    def get(self) -> Evidence:
        """Return it."""
        if self._evidence is None:
            self._evidence = self._made()
        return self._evidence

    def _made(self) -> Evidence:
        model, features = load_judge(self._config, self._config.judge, self._judged, self._device)
        train = load_data(self._config).split.train
        reconstructions = load(self._attacked.path / "reconstructions.pt")
        images: Tensor = reconstructions["images"]
        flat, shape = images.flatten(0, 1), images.shape[:2]
        logits, seen = logits_and_features(model, flat, self._device)
        logits = logits.reshape(*shape, -1)
        return Evidence(
            reconstructions=images,
            identities=reconstructions["identities"],
            logits=logits,
            features=seen.reshape(*shape, -1),
            confidences=logits.new_empty(*shape, 0),  # none of these metrics asks the target
            private_features=features,
            private_labels=train.labels,
            private_images=train.pixels,
            device=self._device,
        )
