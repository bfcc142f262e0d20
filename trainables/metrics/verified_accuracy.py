"""Verified attack accuracy: the judge's first choice, and a score that strangers next to never reach."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.judges.verification import references, scores
from trainables.metrics.base import Evidence, Metric


def verified(choices: Tensor, own_scores: Tensor, identities: Tensor, threshold: float) -> Tensor:
    """Return the share of each identity's restarts that name it with a score above `threshold`, float64 (N,).

    choices (R, N): the judge's first choices. own_scores (R, N): its scores for the attacked `identities`.
    """
    return ((choices == identities) & (own_scores > threshold)).double().mean(0)


@dataclass(frozen=True, kw_only=True)
class AttackAccuracyVerified(Metric):
    """Measures the share of reconstructions that the judge recognises and accepts as a picture of the person.

    Nearest class mean and a softmax name somebody in every picture. ``trainables.judges.verification`` has
    the score and its threshold. It is measured beside the verdict, so that stored verdicts stay valid.
    """

    kind = "attack_accuracy_verified"
    summary = "share of reconstructions recognised with a score that one stranger in a thousand reaches"
    source = "this project"
    direction = "minimize"
    low = 0.0
    high = 1.0
    unit = "share"
    label = "verified attack accuracy"
    short_label = "verified"
    explanation = (
        "how often the judge's first choice is the attacked identity with a score that one in a thousand "
        "private test images of other people reaches, at most (one in all of them, where they are fewer)"
    )
    beside_verdict = True

    def measure(self, evidence: Evidence) -> float | None:
        """Return the figure; None where the judge's threshold is not known."""
        if evidence.threshold is None:
            return None
        classes = evidence.logits.shape[2]
        people = references(evidence.private_features, evidence.private_labels, classes)
        own = evidence.identities.expand(evidence.logits.shape[:2]).unsqueeze(2)
        own_scores = scores(evidence.features, people).gather(2, own).squeeze(2)
        shares = verified(evidence.logits.argmax(2), own_scores, evidence.identities, evidence.threshold)
        return torch.mean(shares).item()
