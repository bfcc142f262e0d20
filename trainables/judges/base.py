"""Base class of judges: a model independent of the target that says whom an image shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainables.datasets.base import Images, as_float
from trainables.datasets.split import Split
from trainables.method import Method
from trainables.runtime.run import Run


@dataclass(frozen=True, kw_only=True)
class JudgeModel:
    """A judge ready for use, on its device, in eval mode.

    Attributes:
        logits: images (N, 3, S, S) in [0, 1] on that device -> (N, K), higher is more likely; no gradients.
        features: the same images -> (N, F), the space of `knn_distance`; no gradients.
        test_accuracy: top-1 on the private test images, in [0, 1]; a judge that is often wrong says little.
        decide: features -> logits, where these follow from those, so that one look gives both; None else.
    """

    logits: Callable[[Tensor], Tensor]
    features: Callable[[Tensor], Tensor]
    test_accuracy: float
    decide: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class Judge(Method):
    """The base of all judges: knobs, `fit` and `restore`. Register a subclass in ``judges.JUDGES``."""

    @property
    def epochs(self) -> int:
        """Return the passes over the private images; as a knob, it is what a miniature run shortens to 1."""
        return 1

    @property
    def overlap_stated(self) -> str | None:
        """Return what its supplier says of private people in its training, "unknown" if nothing; None for a
        judge that learns from the private training images alone."""
        return None

    @property
    def trained_on_stated(self) -> str:
        """Return the data that a judge from outside was trained on, as stated; "unknown" if nobody says."""
        return "unknown"

    def version_for(self, image_size: int) -> int:
        """Return the version that counts for images of `image_size` pixels, where sizes decide."""
        return self.version

    def check_size(self, image_size: int) -> None:
        """Raise `ConfigError` if the judge cannot see images of `image_size` pixels; most see all sizes."""

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` if it cannot be used on images of that size: before any work."""

    def fit(self, split: Split, *, run: Run) -> dict[str, Any]:
        """Return what `restore` needs, fit for ``torch.save`` and weights-only loading.

        Beside what it needs itself it holds ``train_features``, float32 (N, F): the features of the private
        training images in their order, so that no trial computes them again.
        Learns from the private training images alone; the validation images may choose among epochs.
        Raises `ConfigError` for a missing or unfit file.
        """
        raise NotImplementedError

    def restore(self, saved: dict[str, Any], split: Split, device: str) -> JudgeModel:
        """Return the model that `fit` left in `saved`, for the identities and image size of `split`."""
        raise NotImplementedError


def outputs(function: Callable[[Tensor], Tensor], pixels: Tensor, device: str, size: int = 256) -> Tensor:
    """Return `function` of uint8 pixels (N, 3, S, S), worked through `size` at a time, on the CPU."""
    with torch.no_grad():
        return torch.cat([function(as_float(part.to(device))).cpu() for part in torch.split(pixels, size)])


def logits_and_features(
    judge: JudgeModel, pixels: Tensor, device: str, size: int = 256
) -> tuple[Tensor, Tensor]:
    """Return the judge's logits and features of uint8 pixels (N, 3, S, S), on the CPU, see `outputs`."""
    decide = judge.decide
    if decide is None:
        return outputs(judge.logits, pixels, device, size), outputs(judge.features, pixels, device, size)
    logits = []

    def look(images: Tensor) -> Tensor:
        features = judge.features(images)
        logits.append(decide(features).cpu())
        return features

    features = outputs(look, pixels, device, size)
    return torch.cat(logits), features


def top1(logits: Callable[[Tensor], Tensor], images: Images, device: str) -> float:
    """Return the share of `images`, in [0, 1], whose highest logit is their label."""
    chosen = outputs(logits, images.pixels, device).argmax(1)
    return (chosen == images.labels).double().mean().item()
