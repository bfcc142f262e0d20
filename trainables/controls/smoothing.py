"""Positive label smoothing: it makes a target leak more, so it is a control and no defense."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Trace
from trainables.defenses.base import Defense


@dataclass(frozen=True, kw_only=True)
class PositiveSmoothing(Defense):
    """Cross-entropy against labels of which a share `alpha`, in (0, 1), is spread over all identities."""

    kind: ClassVar[str] = "positive_smoothing"
    summary: ClassVar[str] = "positive label smoothing, a control: the target leaks more"
    source: ClassVar[str] = "Struppek et al., ICLR 2024"

    alpha: float = 0.1

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the mean cross-entropy against smoothed labels."""
        return functional.cross_entropy(logits, labels, label_smoothing=self.alpha)
