"""Eigenfaces: the principal components of the public images as a generator, in closed form and in seconds."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trainables.datasets.base import Images, as_float
from trainables.errors import ConfigError
from trainables.priors.base import Prior, PriorNetworks, TargetView, eval_mode
from trainables.priors.fit import held_out
from trainables.runtime.checks import at_least
from trainables.runtime.run import Run
from trainables.runtime.short_run import ShortRun

EXTRA = 20  # directions beyond those asked for: the last of a subspace are its least exact
PASSES = 4  # over the images before the last one
ROWS = 512  # images that are floats at once


class Directions(nn.Module):
    """The base of both networks: pixels = mean + z @ axes, z standard normal under the public images.

    mean: (3 S S,).  axes: (K, 3 S S), orthogonal; each as long as the images' standard deviation along it.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, components: int, image_size: int) -> None:
        super().__init__()
        self.size = image_size
        self.register_buffer("mean", torch.full((3 * image_size**2,), 0.5))
        self.register_buffer("axes", torch.zeros(components, 3 * image_size**2))

    def encode(self, images: Tensor) -> Tensor:
        """Return the latents (n, K) of images (n, 3, S, S), by projection; 0 along an axis of no length."""
        lengths = self.axes.square().sum(1).clamp_min(torch.finfo(torch.float32).tiny)
        latents: Tensor = (images.flatten(1) - self.mean) @ self.axes.T / lengths
        return latents


class Portraits(Directions):
    """Latents (n, K) -> images (n, 3, S, S), clamped to [0, 1]."""

    def forward(self, latents: Tensor) -> Tensor:
        """Return the images."""
        pixels = self.mean + latents @ self.axes
        return pixels.clamp(0, 1).reshape(-1, 3, self.size, self.size)


class Typicality(Directions):
    """Images (n, 3, S, S) -> log density of their latents, (n,), but for a constant: -1/2 |z(x)|²."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores, at most 0."""
        return -0.5 * self.encode(images).square().sum(1)


def principal_axes(
    pixels: Tensor, components: int, *, run: Run, fitted: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the mean (D,) and the axes (K, D), most variance first, of uint8 images (m, 3, S, S).

    fitted: int64 (n,), which of them count; None takes all. They are not copied together, for `pixels` may be
    larger than memory.

    Subspace iteration from random directions (Halko et al. 2011, algorithm 4.4), which are a stream of the
    run's seed: the images are read `PASSES` + 2 times, `ROWS` at a time. An axis is as long as the standard
    deviation along it, and its largest number is positive.
    """
    size = pixels[0].numel()
    width = min(components + EXTRA, size)
    rows = torch.arange(len(pixels)) if fitted is None else fitted

    def chunks() -> Any:
        for some in torch.split(rows, ROWS):
            yield as_float(pixels[some].to(run.device)).flatten(1)

    mean = sum(chunk.double().sum(0) for chunk in chunks()) / len(rows)
    mean = mean.float()

    def covariance_times(basis: Tensor) -> Tensor:
        """Return C @ basis, (D, width), of the images' covariance C."""
        product = torch.zeros_like(basis)
        for chunk in chunks():
            centred = chunk - mean
            product += centred.T @ (centred @ basis)
        return product / len(rows)

    start = torch.randn(size, width, generator=run.stream("prior", "directions"))
    basis = torch.linalg.qr(start.to(run.device)).Q
    for number in range(PASSES):
        basis = torch.linalg.qr(covariance_times(basis)).Q
        run.report("prior", number + 1, PASSES + 1)
    small = basis.T @ covariance_times(basis)
    variances, turns = torch.linalg.eigh((small + small.T).double() / 2)
    order = variances.argsort(descending=True)[:components]
    axes = (basis @ turns[:, order].float()).T
    signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    return mean, axes * signs * variances[order].clamp_min(0).sqrt().float()[:, None]


@dataclass(frozen=True, kw_only=True)
class EigenfacesPrior(Prior):
    """Eigenfaces: Turk & Pentland 1991, "Eigenfaces for Recognition", as a prior of inversion attacks (ours).

    Latents are whitened, so that z is standard normal under the public images; an image's realism is the
    Gaussian of its latent. A few public images are left out, to see how well the rest show them.

    components: numbers of a latent; fewer than there are public images.
    """

    kind: ClassVar[str] = "eigenfaces"
    summary: ClassVar[str] = "principal components of the public images, fitted in seconds"
    source: ClassVar[str] = "Turk & Pentland, J. Cogn. Neurosci. 1991 (eigenfaces); as a prior: this project"
    threat_model: ClassVar[TargetView] = "nothing"
    measures_fit: ClassVar[bool] = True

    components: int = 200

    def __post_init__(self) -> None:
        at_least(self, 1, "components")

    @property
    def drops_last_batch(self) -> bool:
        """Return that all images are seen."""
        return False

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return the prior itself: it takes seconds."""
        return ShortRun(first=self)

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        """Return the networks without axes; an image must have as many numbers as there are components."""
        most = 3 * image_size**2
        if self.components > most:
            raise ConfigError(
                f"prior 'eigenfaces' expects at most {most:,} components, the numbers of an image of "
                f"{image_size} pixels; got {self.components:,} (components); lower it"
            )
        return PriorNetworks(
            Portraits(self.components, image_size), Typicality(self.components, image_size), self.components
        )

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        """Return the networks of the public images but for those held out; labels are not used."""
        networks = self.build(public.pixels.shape[-1])
        left_out = held_out(len(public), run)
        counts = torch.ones(len(public), dtype=torch.bool)
        counts[left_out] = False
        fitted = counts.nonzero().flatten()
        most = len(fitted) - 1
        if self.components > most:
            raise ConfigError(
                f"prior 'eigenfaces' expects fewer components than it has public images to fit, at most "
                f"{most}; got {self.components} (components) and {len(public)} public images, of which "
                f"{len(left_out)} are held out; lower it, or add public images"
            )
        mean, axes = principal_axes(public.pixels, self.components, run=run, fitted=fitted)
        for network in (networks.generator, networks.discriminator):
            network.to(run.device)
            assert isinstance(network, Directions)
            network.mean.copy_(mean)
            network.axes.copy_(axes)
        run.report("prior", PASSES + 1, PASSES + 1)
        return eval_mode(networks)
