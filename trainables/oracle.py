"""Oracles, the view that a black-box attacker has of a target: answers about images, and their count."""

from typing import Any

import torch
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise, noise_size
from trainables.errors import ConfigError
from trainables.nn.inference import inference_copy
from trainables.runtime.seeds import stream


class Oracle:
    """A target behind a counter: an eval copy of a `Classifier`, run without gradients.

    queries: images asked about so far.  classes: how many labels there are, K.
    noise_size: standard normal numbers that a stochastic head takes per image, 0 for most targets. Who wants
    answers that do not depend on the order of the questions lends them with the question; else the oracle
    draws them image by image from a stream of `seed`, so that how questions are batched does not matter.

    No method gives more than its subclass says. Python hides nothing from one who looks for the attributes of
    an object; the type keeps a method honest, not a thief out.
    """

    def __init__(self, target: Classifier, device: str, seed: int = 0) -> None:
        linear = [module for module in target.head.modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise ConfigError(
                f"an oracle expects a target whose head ends in a linear layer; got "
                f"{type(target.head).__name__} (target); choose another architecture or a white-box attack"
            )
        self.queries = 0
        self.classes = linear[-1].out_features
        self.noise_size = noise_size(target)
        self._target = inference_copy(target, device).to(device)
        self._device, self._stream = device, stream(seed, "oracle")

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return the answers, one row per image (n, 3, S, S) in [0, 1]; noise: (n, noise_size), see above."""
        raise NotImplementedError

    @torch.no_grad()
    def _logits(self, images: Tensor, noise: Tensor | None) -> Tensor:
        self.queries += len(images)
        if noise is None and self.noise_size:
            rows = [torch.randn(self.noise_size, generator=self._stream) for _ in images]
            noise = torch.stack(rows) if rows else torch.empty(0, self.noise_size)
        if noise is None:
            noise = torch.empty(len(images), 0)
        with head_noise(self._target, noise):
            logits: Tensor = self._target(images.detach().to(self._device))
        return logits


class ScoreOracle(Oracle):
    """Answers with scores."""

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return probabilities (n, K), rows that add up to 1, of images (n, 3, S, S) in [0, 1].

        noise: (n, noise_size), see `Oracle`.
        """
        return self._logits(images, noise).softmax(dim=1)


class LabelOracle(Oracle):
    """Answers with labels."""

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return labels, int64 (n,) in 0 .. K-1, of images (n, 3, S, S) in [0, 1].

        noise: (n, noise_size), see `Oracle`.
        """
        return self._logits(images, noise).argmax(dim=1)


def observe(target: Classifier, threat_model: str, device: str, seed: int = 0) -> Any:
    """Return what an attacker sees of `target`: itself if "white-box", an oracle if "scores" or "labels".

    The oracle has its own copy of the target, on `device`.
    """
    if threat_model == "white-box":
        return target
    return {"scores": ScoreOracle, "labels": LabelOracle}[threat_model](target, device, seed)


def seen_as(target: Any) -> str:
    """Return the threat model that `target` allows: the reverse of `observe`."""
    if isinstance(target, ScoreOracle):
        return "scores"
    return "labels" if isinstance(target, LabelOracle) else "white-box"
