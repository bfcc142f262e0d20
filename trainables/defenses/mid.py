"""MID: a noisy bottleneck before the last layer limits what the logits say about the input."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier, Head, Trace
from trainables.architectures.head_noise import draw_noise
from trainables.defenses.base import Defense, linear_head
from trainables.runtime.checks import at_least


class BottleneckHead(Head):
    """feature (N, F) -> logits (N, K) through z = mu + sigma · noise of `bottleneck` numbers.

    sigma = softplus(raw - 5) starts near 0.007. Noise is drawn in every forward, also in eval mode: the
    attacker meets it too; `head_noise` fixes it. With a `noise_size` of 0 there is none, and z = mu. A given
    trace receives mu and sigma.
    """

    reports_trace: ClassVar[bool] = True

    def __init__(self, features: int, classes: int, bottleneck: int) -> None:
        super().__init__()
        self.noise_size = bottleneck
        self.encode = nn.Linear(features, 2 * bottleneck)
        self.classify = nn.Linear(bottleneck, classes)

    def forward(self, feature: Tensor, trace: Trace | None = None) -> Tensor:
        """Return logits; `trace` receives "mu" and "sigma", each (N, bottleneck)."""
        mu, raw = self.encode(feature).chunk(2, dim=1)
        sigma = functional.softplus(raw - 5)
        if trace is not None:
            trace["mu"], trace["sigma"] = mu, sigma
        logits: Tensor = self.classify(mu + sigma * draw_noise(self, mu) if self.noise_size else mu)
        return logits


def divergence(mu: Tensor, sigma: Tensor) -> Tensor:
    """Return KL(N(mu, sigma²) || N(0, 1)), summed over dimensions, averaged over rows; from 0 up, in nats."""
    return (0.5 * (mu**2 + sigma**2 - 1) - sigma.log()).sum(1).mean()


@dataclass(frozen=True, kw_only=True)
class MID(Defense):
    """Wang et al., AAAI 2021: cross-entropy + beta · KL of a bottleneck; head as in BiDO's baselines.

    beta: weight of the KL term; published 0.003, 0.01, 0.02. 0 leaves only the noise.
    bottleneck: numbers in the bottleneck; published 1024.
    """

    kind: ClassVar[str] = "mid"
    summary: ClassVar[str] = "variational information bottleneck before the last layer"
    source: ClassVar[str] = "Wang et al., AAAI 2021 (MID)"
    reads_images: ClassVar[bool] = False
    adaptive: ClassVar[str] = "averages gradients over many draws of the noise, or sets it to zero"
    adaptive_attack: ClassVar[str | None] = "* adaptive=true"

    beta: float = 0.01
    bottleneck: int = 1024

    def __post_init__(self) -> None:
        at_least(self, 0, "beta")
        at_least(self, 1, "bottleneck")

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier with a bottleneck head; a batch norm of the flat feature is removed.

        The published head follows the flat feature directly, so VGG16's neck loses its batch norm.
        """
        linear = linear_head(classifier, self.kind)
        classifier.head = BottleneckHead(linear.in_features, linear.out_features, self.bottleneck)
        if isinstance(classifier.neck, nn.Sequential):
            classifier.neck = nn.Sequential(
                *(layer for layer in classifier.neck if not isinstance(layer, nn.BatchNorm1d))
            )
        return classifier

    def adapted(self, classifier: Classifier, stored: Mapping[str, Tensor]) -> Classifier:
        """Return a copy without noise: its logits are the mean over all draws, for they are linear in z."""
        copied = copy.deepcopy(classifier)
        assert isinstance(copied.head, BottleneckHead)
        copied.head.noise_size = 0
        return copied

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the cross-entropy plus beta times the divergence of the bottleneck."""
        return functional.cross_entropy(logits, labels) + self.beta * divergence(trace["mu"], trace["sigma"])
