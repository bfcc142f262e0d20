"""False positives: reconstructions that the target is sure of and a judge denies."""

from dataclasses import dataclass
from typing import Any

import torch

from trainables.analyses.base import Analysis, Subject
from trainables.architectures.head_noise import head_noise
from trainables.errors import ConfigError
from trainables.judges.base import outputs
from trainables.metrics.attack_accuracy import interval95
from trainables.runtime.checks import fraction
from trainables.runtime.seeds import stream


@dataclass(frozen=True, kw_only=True)
class FalsePositives(Analysis):
    """Measures the target's confidence in reconstructions, and how often each judge denies a sure one.

    threshold: the probability, between 0 and 1, above which the target counts as sure of the identity.

    Its figures of one person can be compared with those of another trial: whether a defense makes attacks
    fail against the target itself, or only makes them succeed with images of nobody (TL-DMI, Ho et al.,
    CVPR 2024, supplement). What it cannot say: that an image shows a person, for each judge errs too, on true
    images as well. An attack that stops early is sure of less; compare trials under the same attack.
    """

    kind = "false_positives"
    summary = "target's confidence in reconstructions, and how often each judge denies a sure one"
    source = "Ho et al. 2024"
    limits = (
        "that a reconstruction that a judge denies is harmless, nor that one that it accepts is a person; "
        "the p values are not adjusted for several figures and judges"
    )
    takes_opinions = True
    compared = ("confidence", "sure", "recognised", "false_positives")
    columns = ("confidence", "sure", "judge", "recognised", "false_positives", "false_positive_rate")

    threshold: float = 0.9

    def __post_init__(self) -> None:
        fraction(self, "threshold")

    def measure(self, subject: Subject) -> dict[str, Any]:
        """Return means and shares in [0, 1], every identity weighing the same; lists are over judges.

        confidence: the target's mean softmax for the attacked identity. confidence_deciles: 11 numbers from
        the least to the most. sure: share of reconstructions with a confidence above the threshold, with its
        interval. judge: names. recognised: share of all reconstructions that the judge gives to the attacked
        person. false_positives: share of all that are sure and that the judge denies. false_positive_rate:
        the same as a share of the sure ones; None without any.
        NAME_per_identity: over restarts, in the order of `labels`; of a judge ``NAME_per_identity.JUDGE``.
        """
        if not subject.opinions:
            raise ConfigError(
                "analysis 'false_positives' expects a judge, got none (judge); name one in the study"
            )
        restarts, count = subject.reconstructions.shape[:2]
        identities, order = subject.identities, subject.identities.argsort()
        with head_noise(subject.target, stream(subject.seed, "false_positives")):
            logits = outputs(subject.target, subject.reconstructions.flatten(0, 1), subject.device)
        rows = torch.arange(len(logits))
        confidence = logits.double().softmax(1)[rows, identities.repeat(restarts)].reshape(restarts, count)
        sure = confidence > self.threshold
        rates = {"confidence": confidence, "sure": sure.double()}
        judged: dict[str, list[Any]] = {"judge": [], "recognised": [], "false_positives": []}
        judged["false_positive_rate"] = []
        for opinion in subject.opinions:
            recognised = opinion.choices == identities
            false = sure & ~recognised
            rates[f"recognised.{opinion.judge}"] = recognised.double()
            rates[f"false_positives.{opinion.judge}"] = false.double()
            judged["judge"].append(opinion.judge)
            judged["recognised"].append(recognised.double().mean().item())
            judged["false_positives"].append(false.double().mean().item())
            judged["false_positive_rate"].append(
                false.sum().item() / sure.sum().item() if sure.any() else None
            )
        return {
            "confidence": confidence.mean().item(),
            "confidence_deciles": confidence.quantile(torch.linspace(0, 1, 11).double()).tolist(),
            "sure": sure.double().mean().item(),
            "sure_interval": list(interval95(sure.double().mean(0), restarts)),
            **judged,
            "threshold": self.threshold,
            "labels": identities[order].tolist(),
            "restarts": restarts,
            **{_per_identity(name): values.mean(0)[order].tolist() for name, values in rates.items()},
        }


def _per_identity(name: str) -> str:
    figure, dot, judge = name.partition(".")
    return f"{figure}_per_identity{dot}{judge}"
