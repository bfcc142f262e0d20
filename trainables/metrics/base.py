"""Base class of metrics: figures of an attack's reconstructions, read off evidence that is computed once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from trainables.method import FILE, Method, knobs_marked

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Evidence of R restarts of an attack on N identities, on the CPU.

    reconstructions: uint8 (R, N, 3, S, S), of `identities`, int64 (N,).
    logits (R, N, K), features (R, N, F): what the judge says of them.
    confidences: (R, N, K), the target's softmax.
    private_features (M, F), private_labels (M,): of the private training images, as the judge sees them.
    threshold: score above which the judge would take an image for a person; None where nobody measured it.
    private_images: uint8 (M, 3, S, S), the private training images; None where they are not at hand.
    device: where networks of a metric run.
    """

    reconstructions: Tensor
    identities: Tensor
    logits: Tensor
    features: Tensor
    confidences: Tensor
    private_features: Tensor
    private_labels: Tensor
    threshold: float | None = None
    private_images: Tensor | None = None
    device: str = "cpu"
    _shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def shared(self, name: str, compute: Callable[[], T]) -> T:
        """Return what `compute` returned when `name` was first asked for: metrics share what costs time."""
        if name not in self._shared:
            self._shared[name] = compute()
        value: T = self._shared[name]
        return value


class Skipped(Exception):
    """A figure that cannot be had here: what is missing, and what to do; the trial goes on without it."""


def private_of(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """Return the private training images of the attacked identities, uint8 (n, 3, S, S), and their labels.

    Do not write to them: where everybody is attacked they are no copy, which could be larger than memory.
    """
    if evidence.private_images is None:
        raise Skipped("the private training images are not at hand")
    attacked = torch.isin(evidence.private_labels, evidence.identities)
    if attacked.all():
        return evidence.private_images, evidence.private_labels
    return evidence.private_images[attacked], evidence.private_labels[attacked]


@dataclass(frozen=True, kw_only=True)
class Metric(Method):
    """The base of all metrics. Register one in ``metrics.METRICS``: tables, report, MLflow and cards follow.

    The attributes are constants in the text of the class: ``sweeper`` reads them without importing torch.

    Attributes:
        direction: the better one for who releases the target.
        low: the lowest that it can be; None without a bound.
        high: the highest that it can be; None without a bound.
        unit: of the figure; a "share" is written in per cent.
        label: its name in words; if empty, `kind` without underscores.
        short_label: the head of a column; if empty, `label`.
        explanation: a clause for the model card that says what is measured; if empty, `summary`.
        objective: whether a study may search for it, or limit it.
        auxiliary: whether it only helps to read other figures; then it is no column of its own.
        beside_verdict: whether a stage of its own measures it, as verdicts were stored before there was one;
            then it enters no verdict's key.
        optional: whether it is measured only where a trial names it under ``metrics``; it is beside the
            verdict too, and may raise `Skipped` instead of a figure.
    """

    direction: ClassVar[Literal["maximize", "minimize"]]
    low: ClassVar[float | None]
    high: ClassVar[float | None]
    unit: ClassVar[str]
    label: ClassVar[str] = ""
    short_label: ClassVar[str] = ""
    explanation: ClassVar[str] = ""
    objective: ClassVar[bool] = True
    auxiliary: ClassVar[bool] = False
    beside_verdict: ClassVar[bool] = False
    optional: ClassVar[bool] = False

    def measure(self, evidence: Evidence) -> float | None:
        """Return the figure, or None where `evidence` does not allow it: then it is left out."""
        raise NotImplementedError

    def missing(self) -> str | None:
        """Return which of its files is not here, so that it is told before any work; None if all are."""
        for name in knobs_marked(self, FILE):
            path = getattr(self, name)
            if not Path(path).is_file():
                return f"{self.kind} needs a file of weights, got none at {path!r} (metrics.{name})"
        return None
