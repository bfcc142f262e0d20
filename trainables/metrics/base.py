"""What every metric is: a figure of an attack's reconstructions, read off evidence that is computed once."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from trainables.method import Method


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of R restarts of an attack on N identities, on the CPU.

    reconstructions: uint8 (R, N, 3, S, S), of `identities`, int64 (N,).
    logits (R, N, K), features (R, N, F): what the judge says of them.
    confidences: (R, N, K), the target's softmax.
    private_features (M, F), private_labels (M,): of the private training images, as the judge sees them.
    """

    reconstructions: Tensor
    identities: Tensor
    logits: Tensor
    features: Tensor
    confidences: Tensor
    private_features: Tensor
    private_labels: Tensor


@dataclass(frozen=True, kw_only=True)
class Metric(Method):
    """The base of all metrics. Register one in ``metrics.METRICS``.

    direction: what is better for who releases the target. low, high: natural bounds; None where unbounded.
    unit: what the figure counts, such as "share".
    """

    direction: ClassVar[Literal["maximize", "minimize"]]
    low: ClassVar[float | None]
    high: ClassVar[float | None]
    unit: ClassVar[str]

    def measure(self, evidence: Evidence) -> float | None:
        """Return the figure, or None where `evidence` does not allow it: then it is left out."""
        raise NotImplementedError
