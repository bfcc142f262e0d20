"""Confidence of the target in the identities that reconstructions attack."""

from dataclasses import dataclass

import torch

from trainables.metrics.base import Evidence, Metric


@dataclass(frozen=True, kw_only=True)
class TargetConfidence(Metric):
    """Measures the mean softmax of the target for the attacked identity."""

    kind = "target_confidence"
    summary = "mean softmax of the target for the attacked identity"
    source = "this project"
    direction = "minimize"
    low = 0.0
    high = 1.0
    unit = "share"
    short_label = "target's confidence"
    objective = False  # an attack climbs it by itself, also where nobody is recognised

    def measure(self, evidence: Evidence) -> float:
        """Return the figure."""
        flat = evidence.confidences.flatten(0, 1)
        labels = evidence.identities.repeat(len(evidence.confidences))
        return flat[torch.arange(len(flat)), labels].mean().item()
