"""Stealthy Shield Defense: the answers of a black box say less of the input than the target knows."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Classifier, Shield, Trace
from trainables.datasets.base import Images, as_float
from trainables.defenses.base import Defense
from trainables.errors import ConfigError
from trainables.runtime.checks import above, at_least
from trainables.runtime.seeds import derive

ROWS = 256  # images of a forward pass
LEAST = 1e-30  # of a probability, so that ratios are finite


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy in nats (n,) of rows of probabilities (n, K)."""
    terms: Tensor = torch.special.entr(probabilities)
    return terms.sum(1)


def nearest(answers: Tensor, means: Tensor, bound: Tensor) -> Tensor:
    """Return p (n, K) with the least KL(p || q) among probabilities with ||p - f||_1 <= bound.

    f: `answers` (n, K), q: `means` (n, K), bound: (n,) from 0 up. p is q where that is near enough. Else half
    of the bound flows from the classes with the highest f/q to those with the lowest:
    p = clip(f, w_A q, w_B q), where w_A q lies above f by bound/2 in all, and f above w_B q by as much. What
    lies above at a level w is the largest sum over a prefix of the classes in the order of f/q, so the level
    of a given amount is the least (greatest) over prefixes.
    """
    f, q = answers.double(), means.double().clamp(min=LEAST)
    half = bound.double()[:, None] / 2
    order = (f / q).argsort(1)
    ordered_f, ordered_q = f.gather(1, order), q.gather(1, order)
    raised = ((half + ordered_f.cumsum(1)) / ordered_q.cumsum(1)).amin(1, keepdim=True)
    falling_f, falling_q = ordered_f.flip(1).cumsum(1), ordered_q.flip(1).cumsum(1)
    lowered = ((falling_f - half) / falling_q).amax(1, keepdim=True)
    moved = torch.minimum(torch.maximum(f, raised * q), lowered * q)
    near = (q - f).abs().sum(1, keepdim=True) <= 2 * half
    return torch.where(near, q, moved).to(answers.dtype)


class StealthyShield:
    """Changes answers: see `SSD`. means: (K, K), row y the mean answer to validation images of y."""

    def __init__(self, means: Tensor, temperature: float, epsilon: float) -> None:
        self._means, self._temperature, self._epsilon = means, temperature, epsilon

    def __call__(self, probabilities: Tensor, images: Tensor) -> Tensor:
        """Return the answers (n, K) given instead of `probabilities` to `images` (n, 3, S, S) in [0, 1].

        An image gets the same answer every time, whatever stands beside it.
        """
        drawn = self.draw(probabilities, _uniform(images))
        means = self._means.to(probabilities.device)[drawn]
        return nearest(probabilities, means, self._epsilon * entropy(probabilities.double()))

    def draw(self, probabilities: Tensor, uniform: Tensor) -> Tensor:
        """Return labels (n,) of softmax(f / T), by inverting its distribution at `uniform` (n,) in [0, 1)."""
        chances = (probabilities.double() / self._temperature).softmax(1).cumsum(1)
        places = torch.searchsorted(chances, uniform.to(chances)[:, None], right=True)[:, 0]
        return places.clamp(max=probabilities.shape[1] - 1)


def _uniform(images: Tensor) -> Tensor:
    """Return a number in [0, 1) for each image (n, 3, S, S), a hash of its pixels in 8 bits; on the CPU."""
    pixels = images.detach().mul(255).round().clamp(0, 255).to(torch.uint8).contiguous().cpu()
    digests = (hashlib.sha256(picture.numpy().tobytes()).hexdigest() for picture in pixels)
    return torch.tensor([(derive(0, "ssd", digest) >> 10) / 2**53 for digest in digests], dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class SSD(Defense):
    """Qu et al., ICLR 2025: answer p = argmin KL(p || q_y) with ||p - f||_1 <= epsilon H(f).

    f: the target's probabilities; y: drawn from softmax(f / temperature); q_y: the mean f of the validation
    images of y; H: entropy in nats. Training is as without a defense. Scores and labels come out of p, and
    the accuracies of such a target are those of its answers (``undefended_test_accuracy`` is that of f).
    White-box attacks see the weights, which nothing protects.

    The draw is seeded by a hash of the picture in 8 bits, so that the same question has the same answer.
    Freezing changes the weights alone and so goes with it.

    temperature: T, published 0.1.
    epsilon: published 0.35 to 0.8 at 64 pixels, 1.5 at 224. 0 leaves every answer as it is.
    """

    kind: ClassVar[str] = "ssd"
    summary: ClassVar[str] = "answers that say less of the image; the weights are undefended"
    source: ClassVar[str] = "Qu et al., ICLR 2025 (Stealthy Shield Defense)"
    adaptive: ClassVar[str] = "averages the answers to nearly equal pictures (answers_averaged of an attack)"
    adaptive_attack: ClassVar[str | None] = "* answers_averaged>1"
    figures_told: ClassVar[str] = (
        "its weights name {undefended_test_accuracy:.3g} of test images where the answer is not random"
    )
    changes_answers: ClassVar[bool] = True
    reads_images: ClassVar[bool] = False

    temperature: float = 0.1
    epsilon: float = 0.5

    def __post_init__(self) -> None:
        above(self, 0, "temperature")
        at_least(self, 0, "epsilon")
        if not math.isfinite(self.epsilon):
            raise ValueError(f"epsilon must be finite; got {self.epsilon}")

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the mean cross-entropy."""
        return functional.cross_entropy(logits, labels)

    @torch.no_grad()
    def finish(
        self, classifier: Classifier, validation: Images, kept: dict[str, Tensor], device: str
    ) -> dict[str, Tensor]:
        """Return the mean answers to the validation images of each identity, float64 (K, K), as "means"."""
        answers = [
            classifier(as_float(pixels.to(device))).double().softmax(1)
            for pixels in torch.split(validation.pixels, ROWS)
        ]
        counts = validation.labels.bincount(minlength=answers[0].shape[1])
        if not counts.all():
            raise ConfigError(
                f"defense 'ssd' expects a validation image of each identity; got none of "
                f"{int((counts == 0).sum())} of {len(counts)} (validation); hold out more of each"
            )
        sums = torch.zeros(len(counts), len(counts), dtype=torch.float64)
        sums.index_add_(0, validation.labels, torch.cat(answers).cpu())
        return {**kept, "means": sums / counts[:, None]}

    @torch.no_grad()
    def figures(
        self, classifier: Classifier, stored: Mapping[str, Tensor], test: Images, device: str
    ) -> dict[str, float]:
        """Return ``undefended_test_accuracy``: of the weights, whose answers nobody gets to see."""
        parts = torch.split(test.pixels, ROWS)
        named = torch.cat([classifier(as_float(pixels.to(device))).argmax(1).cpu() for pixels in parts])
        return {"undefended_test_accuracy": (named == test.labels).double().mean().item()}

    def shield(self, stored: Mapping[str, Tensor]) -> Shield | None:
        """Return what changes the answers of a target whose defense stored "means"."""
        return StealthyShield(stored["means"], self.temperature, self.epsilon)
