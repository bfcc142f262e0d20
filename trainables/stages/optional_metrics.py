"""Metrics that a trial asks for beyond the usual ones, each a stage of its own on stored reconstructions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from trainables.config import TrialConfig
from trainables.judges.base import outputs
from trainables.metrics.base import Evidence, Metric, Skipped
from trainables.runtime.progress import Report, silent
from trainables.stages.base import _load, on_machine
from trainables.stages.data import load_data
from trainables.stages.judge import load_judge
from trainables.storage.content import with_content
from trainables.storage.store import Stage, Store

VERSION = 1


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
        "version": VERSION,
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
        reconstructions = _load(self._attacked.path / "reconstructions.pt")
        images: Tensor = reconstructions["images"]
        flat, shape = images.flatten(0, 1), images.shape[:2]
        logits = outputs(model.logits, flat, self._device).reshape(*shape, -1)
        return Evidence(
            reconstructions=images,
            identities=reconstructions["identities"],
            logits=logits,
            features=outputs(model.features, flat, self._device).reshape(*shape, -1),
            confidences=logits.new_empty(*shape, 0),  # none of these metrics asks the target
            private_features=features,
            private_labels=train.labels,
            private_images=train.pixels,
            device=self._device,
        )
