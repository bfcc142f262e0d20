"""Confidence of the judge in reconstructions, beside private images, and where only the target is sure."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainables.analyses.base import Analysis, Subject
from trainables.architectures.head_noise import head_noise
from trainables.errors import ConfigError
from trainables.judges.base import outputs
from trainables.metrics.attack_accuracy import interval95
from trainables.runtime.checks import fraction
from trainables.runtime.seeds import stream


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Confidence of judge and target in the identities of B images; tensors (B,).

    confidence: the judge's softmax for the identity. confident: the target's is above the threshold.
    unrecognised: confident, and the judge's first choice is another. classes: among which the judge chooses.
    """

    confidence: Tensor
    confident: Tensor
    unrecognised: Tensor
    classes: int


@dataclass(frozen=True, kw_only=True)
class EvaluatorConfidence(Analysis):
    """Measures the judge's confidence in the attacked identity, and how far the target's over-reports.

    threshold: the probability, between 0 and 1, above which the target counts as sure of the identity.

    What it says: how near reconstructions come to private test images of the same identities by one judge,
    between chance and that ceiling; and how many reconstructions would pass as successes by the target's
    confidence alone, although the judge's first choice is another person.
    What it cannot say: that an image shows a person. The judge errs too, and `sure_unrecognised_private` is
    how often both happen on true images; a figure near it is no evidence against the target's confidence.
    Softmax values are not calibrated: compare those of one judge only. A judge that compares embeddings has
    cosines for logits, so its softmax hardly leaves chance even on private images. Intervals hold over
    identities, not over trainings of the target or the judge.
    """

    kind = "evaluator_confidence"
    summary = "judge's confidence in reconstructions, and where the target alone is sure"
    source = "this project"
    limits = "that an image shows a person; and softmax values of two judges do not compare"
    columns = (
        "judge_confidence",
        "judge_confidence_private",
        "chance",
        "sure",
        "sure_unrecognised",
        "sure_unrecognised_private",
    )

    threshold: float = 0.9

    def __post_init__(self) -> None:
        fraction(self, "threshold")

    def measure(self, subject: Subject) -> dict[str, Any]:
        """Return means and shares, each in [0, 1] and with every identity weighing the same, and counts.

        judge_confidence, judge_confidence_private: the judge's mean softmax for the attacked identity, on
        reconstructions and on the private test images of the attacked identities. chance: of a guess.
        sure: share of reconstructions that the target gives to the identity with a probability above the
        threshold. sure_unrecognised: share of all reconstructions that are sure, and the judge's first choice
        is another. sure_unrecognised_private: the same of the private test images.
        NAME_interval: 95 % interval of a share, see `interval95`; over private images it takes the fewest
        that an identity has for restarts. NAME_count: images behind a share.
        Raises `ConfigError` if an attacked identity has no private test image.
        """
        identities, test = subject.identities, subject.private.test
        restarts, count = subject.reconstructions.shape[:2]
        true = test.select(torch.isin(test.labels, identities).nonzero().flatten())
        owned = (true.labels == identities.unsqueeze(1)).double()  # (N, M)
        if not owned.any(1).all():
            lacking = identities[~owned.any(1)].tolist()
            raise ConfigError(
                f"expected a private test image of each attacked identity, got none of "
                f"labels {lacking} (test); "
                "hold out more of the private images"
            )

        def by_identity(values: Tensor) -> Tensor:
            return owned @ values.double() / owned.sum(1)

        flat = subject.reconstructions.flatten(0, 1)
        made = self._read(subject, flat, identities.repeat(restarts))
        real = self._read(subject, true.pixels, true.labels)
        confident, unrecognised = (
            flags.reshape(restarts, count) for flags in (made.confident, made.unrecognised)
        )
        least = int(owned.sum(1).min())
        return {
            "judge_confidence": made.confidence.double().mean().item(),
            "judge_confidence_private": by_identity(real.confidence).mean().item(),
            "chance": 1 / made.classes,
            **_share("sure", confident.double().mean(0), confident, restarts),
            **_share("sure_unrecognised", unrecognised.double().mean(0), unrecognised, restarts),
            **_share("sure_unrecognised_private", by_identity(real.unrecognised), real.unrecognised, least),
            "threshold": self.threshold,
            "identities": count,
            "restarts": restarts,
            "reconstructions": restarts * count,
            "private_images": len(true.labels),
        }

    def _read(self, subject: Subject, pixels: Tensor, labels: Tensor) -> Reading:
        rows = torch.arange(len(labels))
        logits = outputs(subject.judge.logits, pixels, subject.device)
        with head_noise(subject.target, stream(subject.seed, "confidence")):  # the same figure every time
            seen = outputs(subject.target, pixels, subject.device).softmax(dim=1)
        confident = seen[rows, labels] > self.threshold
        return Reading(
            confidence=logits.double().softmax(dim=1)[rows, labels],
            confident=confident,
            unrecognised=confident & (logits.argmax(1) != labels),
            classes=logits.shape[1],
        )


def _share(name: str, per_identity: Tensor, images: Tensor, restarts: int) -> dict[str, Any]:
    return {
        name: per_identity.mean().item(),
        f"{name}_interval": list(interval95(per_identity, restarts)),
        f"{name}_count": int(images.sum()),
    }
