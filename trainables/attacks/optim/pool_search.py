"""The base of MIRROR's two attacks: a rated pool of samples, and images of truncated styles. No attack."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.attacks.base import Attack, Passes, chunk_size, render
from trainables.attacks.optim.style_pool import sample_styles, style_bounds, worked
from trainables.attacks.optim.styles import StyleGenerator, style_generator
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import row_noise


@dataclass(frozen=True, kw_only=True)
class PoolSearch(Attack):
    """Knobs that both share; the defaults are those of the released scripts.

    pool: samples, shared by all identities and seen once; released code has 100,000.
    psi, cutoff: truncation of all images, and in how many layers. The latents searched and returned are
        styles before the truncation.
    spread: standard deviations of the pool around its mean that styles are cut to, see `style_bounds`.
    """

    pool: int = 100_000
    psi: float = 0.7
    cutoff: int = 8
    spread: float = 1.0

    def __post_init__(self) -> None:
        at_least(self, 1, "pool", "cutoff")
        at_least(self, 0, "psi")

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior has a style space."""
        style_generator(prior, self.kind)

    def shared_passes(self) -> Passes:
        """Return what the pool costs."""
        return Passes(generator_forward=self.pool, target_forward=self.pool)

    def images(self, generator: StyleGenerator, styles: Tensor) -> Tensor:
        """Return what targets see of styles (n, W), (n, 3, S, S), not clipped."""
        return generator.view(generator.synthesis(generator.truncate(styles, self.psi, self.cutoff)))

    def unguided(self, prior: PriorNetworks, count: int, *, run: Run) -> Tensor:
        """Return the pictures of random samples, within the usual styles; see `Attack.unguided`."""
        generator = style_generator(prior, self.kind)
        styles = sample_styles(generator, prior.latent_size, count, kind="unguided", run=run)
        low, high = style_bounds(styles, self.spread)
        bounded = torch.minimum(torch.maximum(styles, low), high)
        return render(lambda some: self.images(generator, some), bounded, run)

    def rated_pool(
        self,
        probabilities: Callable[[Tensor, Tensor], Tensor],
        noise_size: int,
        prior: PriorNetworks,
        identities: Tensor,
        run: Run,
        done: Callable[[int], None],
    ) -> tuple[Tensor, Tensor]:
        """Return the styles of the pool (pool, W), and their probabilities of `identities`, (pool, N).

        ``probabilities(images, noise)``: of all labels, (n, K), with noise (n, noise_size) of the target's
        head.  ``done(count)`` is called as `worked` does.
        """
        generator = style_generator(prior, self.kind)
        pool = sample_styles(generator, prior.latent_size, self.pool, kind=self.kind, run=run)

        def rate(first: int, stop: int) -> Tensor:
            streams = [run.stream(self.kind, "pool head", row) for row in range(first, stop)]
            images = self.images(generator, pool[first:stop].to(run.device))
            noise = next(row_noise(streams, noise_size, run.device))
            return probabilities(images, noise)[:, identities.to(run.device)]

        return pool, worked(self.pool, chunk_size(run), rate, resume=run.resume, name="pool", done=done)
