"""FID: distance of reconstructions from private images as two Gaussians of Inception features."""

import importlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from trainables.errors import ConfigError
from trainables.method import file_knob
from trainables.metrics.base import Evidence, Metric, Skipped, private_of
from trainables.storage.weights import read_weights

TOGETHER = 64  # images of one pass


def frechet_distance(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> float:
    """Return ||m - m'||^2 + Tr(S + S' - 2 (S S')^(1/2)) of two Gaussians, in float64.

    The trace of the root is the sum of the roots of the eigenvalues of S^(1/2) S' S^(1/2), which are those of
    S S' and never complex: no small multiple of the identity has to be added where S is singular.
    """
    mean, other_mean = mean.double(), other_mean.double()
    covariance, other_covariance = covariance.double(), other_covariance.double()
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    between = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    traces = covariance.trace() + other_covariance.trace()
    return max(0.0, float((mean - other_mean).square().sum() + traces - 2 * between))


def fid(fake: Tensor, real: Tensor) -> float:
    """Return the distance of features fake (n, F) from real (m, F); covariances with n - 1."""
    parts = [
        (features.double().mean(0), features.double().T.cov().reshape(features.shape[1], -1))
        for features in (fake, real)
    ]
    return frechet_distance(*parts[0], *parts[1])


@dataclass(frozen=True, kw_only=True)
class FID(Metric):
    """Measures the Fréchet Inception distance from reconstructions to the private images of those attacked.

    Heusel et al., NeurIPS 2017. Features: the pool of the Inception of 2015, through torch-fidelity (the
    extra `fid`), from a local file of its weights; nothing is downloaded. With few images the figure is far
    too high: it is not given below `least`, and ``fid_images`` says of how many it is. A defended target
    leaves few successes, so "successful" compares targets only where all are many.

    path: torch-fidelity's ``weights-inception-2015-12-05-6726825d.pth``.
    images: "all" reconstructions, or the "successful": those that the judge names rightly (LOMMA).
    least: reconstructions below which no figure is given; 2048 make the covariance of full rank.
    """

    kind = "fid"
    summary = "Fréchet Inception distance of reconstructions to the private images of those attacked"
    source = "Heusel et al., NeurIPS 2017"
    direction = "maximize"
    low = 0.0
    high = None
    unit = "distance"
    label = "FID"
    explanation = "of reconstructions to the private training images of those attacked"
    objective = False  # not every trial measures it
    beside_verdict = True
    optional = True

    path: str = file_knob("")
    images: Literal["all", "successful"] = "all"
    least: int = 2048

    def __post_init__(self) -> None:
        if self.least < 2:
            raise ValueError(f"least must be at least 2; got {self.least}")

    def measure(self, evidence: Evidence) -> float | None:
        """Return the figure; raise `Skipped` for too few images, and without weights or torch-fidelity."""
        fakes = self.chosen(evidence)
        if len(fakes) < self.least:
            raise Skipped(
                f"fid of {len(fakes)} reconstructions ({self.images}) is not given: below {self.least} it "
                "says how few they are (least); attack more people or with more restarts"
            )
        private, _ = private_of(evidence)
        if len(private) < 2:
            given = f"{len(private)} private image{'' if len(private) == 1 else 's'} of those attacked"
            raise Skipped(
                f"fid from {given} is not given: a covariance takes at least 2; attack more people, or give "
                "them more images"
            )
        features = self._features(evidence.device)
        return fid(features(fakes), features(private))

    def chosen(self, evidence: Evidence) -> Tensor:
        """Return the reconstructions that count, uint8 (n, 3, S, S)."""
        every = evidence.reconstructions.flatten(0, 1)
        if self.images == "all":
            return every
        right = evidence.logits.argmax(2) == evidence.identities
        return every[right.flatten()]

    def _features(self, device: str) -> Any:
        """Return what turns uint8 pixels (n, 3, S, S) into features (n, 2048) on the CPU."""
        if not Path(self.path).is_file():
            raise Skipped(
                f"fid needs the weights of torch-fidelity's Inception, got no file at {self.path!r} (path); "
                "save weights-inception-2015-12-05-6726825d.pth of its releases and give its path"
            )
        try:
            module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
        except ImportError as error:
            raise Skipped(
                f"fid needs torch-fidelity ({error}); install it with pip install 'inversion-sweeper[fid]'"
            ) from error
        try:
            read_weights(Path(self.path), "path")  # torch-fidelity would run a program that is in the file
            network = module.FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=self.path
            )
        except (ConfigError, RuntimeError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:300]
            raise Skipped(
                f"fid expects the weights of torch-fidelity's Inception (path): {reason}"
            ) from error
        network = network.to(device).eval()

        @torch.no_grad()
        def features(pixels: Tensor) -> Tensor:
            return torch.cat([network(part.to(device))[0].cpu() for part in torch.split(pixels, TOGETHER)])

        return features


@dataclass(frozen=True, kw_only=True)
class FIDImages(FID):
    """Measures of how many reconstructions a FID is."""

    kind = "fid_images"
    summary = "reconstructions that a FID is of"
    unit = "images"
    label = "images of the FID"
    auxiliary = True

    def measure(self, evidence: Evidence) -> float:
        """Return the figure, also where that is too few for a FID."""
        return float(len(self.chosen(evidence)))
