"""Oracles, the view that a black-box attacker has of a target: answers about images, and their count."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from trainables.architectures.base import Classifier, Shield
from trainables.architectures.head_noise import head_noise
from trainables.errors import ConfigError
from trainables.nn.inference import inference_copy
from trainables.runtime.seeds import stream
from trainables.runtime.upload import upload


class Oracle:
    """A target behind a counter: an eval copy of a `Classifier`, run without gradients.

    queries: images asked about so far.  classes: how many labels there are, K.
    noise_size: standard normal numbers that a stochastic head takes per image, 0 for most targets. Who wants
    answers that do not depend on the order of the questions lends them with the question; else the oracle
    draws them image by image from a stream of `seed`, so that how questions are batched does not matter.

    shield: what the target's defense does to its probabilities before it answers.
    averaged: how many pictures are asked about for each image, all counted, and their answers averaged: the
    image, and others that differ from it by one of 255 levels up or down in each pixel, in patterns that are
    the same for all images. An attacker who averages so undoes what a defense draws anew for each question.
    Noise that is lent serves all of them, its numbers in another order for each.

    No method gives more than its subclass says. Python hides nothing from one who looks for the attributes of
    an object; the type keeps a method honest, not a thief out.
    """

    def __init__(
        self,
        target: Classifier,
        device: str,
        seed: int = 0,
        *,
        shield: Shield | None = None,
        averaged: int = 1,
    ) -> None:
        linear = [module for module in target.head.modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise ConfigError(
                f"an oracle expects a target whose head ends in a linear layer; got "
                f"{type(target.head).__name__} (target); choose another architecture or a white-box attack"
            )
        self.queries = 0
        self.classes = linear[-1].out_features
        self.noise_size = target.noise_size
        self._target = inference_copy(target, device).to(device)
        self._device, self._stream = device, stream(seed, "oracle")
        self._shield, self._averaged = shield, averaged

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return the answers, one row per image (n, 3, S, S) in [0, 1]; noise: (n, noise_size), see above."""
        raise NotImplementedError

    def _answers(self, images: Tensor, noise: Tensor | None) -> Iterator[Tensor]:
        """Yield the answers (n, K) to each of the pictures that stand for an image; see `_answer`."""
        yield self._answer(images, noise)
        for number in range(1, self._averaged):
            signs = torch.randint(0, 2, images.shape[1:], generator=stream(number, "nearly equal pictures"))
            change = upload((2 * signs - 1) / 255, images.device)
            reordered = None if noise is None else noise.roll(number, 1)
            yield self._answer((images + change).clamp(0, 1), reordered)

    @torch.no_grad()
    def _answer(self, images: Tensor, noise: Tensor | None) -> Tensor:
        """Return logits (n, K), or the logarithms of probabilities where there is a shield."""
        self.queries += len(images)
        if noise is None and self.noise_size:
            rows = [torch.randn(self.noise_size, generator=self._stream) for _ in images]
            noise = torch.stack(rows) if rows else torch.empty(0, self.noise_size)
        if noise is None:
            noise = torch.empty(len(images), 0)
        images = images.detach().to(self._device)
        with head_noise(self._target, noise):
            logits: Tensor = self._target(images)
        return logits if self._shield is None else self._shield(logits.softmax(1), images).log()


class ScoreOracle(Oracle):
    """Answers with scores."""

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return probabilities (n, K), rows that add up to 1, of images (n, 3, S, S) in [0, 1].

        noise: (n, noise_size), see `Oracle`.
        """
        scores = [answer.softmax(dim=1) for answer in self._answers(images, noise)]
        return scores[0] if len(scores) == 1 else torch.stack(scores).mean(0)


class LabelOracle(Oracle):
    """Answers with labels."""

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return labels, int64 (n,) in 0 .. K-1, of images (n, 3, S, S) in [0, 1].

        noise: (n, noise_size), see `Oracle`. Of several answers the most frequent is taken, of equally
        frequent ones that to the image itself, or else the first label.
        """
        labels = torch.stack([answer.argmax(dim=1) for answer in self._answers(images, noise)])
        if len(labels) == 1:
            return labels[0]
        votes = nn.functional.one_hot(labels, self.classes)
        return (2 * votes.sum(0) + votes[0]).argmax(dim=1)


def observe(
    target: Classifier,
    threat_model: str,
    device: str,
    seed: int = 0,
    *,
    shield: Shield | None = None,
    averaged: int = 1,
) -> Any:
    """Return what an attacker sees of `target`: itself if "white-box", an oracle if "scores" or "labels".

    The oracle has its own copy of the target, on `device`. shield, averaged: see `Oracle`; a white-box
    attacker meets no shield, for it stands between the weights and the answers.
    """
    if threat_model == "white-box":
        return target
    kind = {"scores": ScoreOracle, "labels": LabelOracle}[threat_model]
    return kind(target, device, seed, shield=shield, averaged=averaged)


def seen_as(target: Any) -> str:
    """Return the threat model that `target` allows: the reverse of `observe`."""
    if isinstance(target, ScoreOracle):
        return "scores"
    return "labels" if isinstance(target, LabelOracle) else "white-box"
