"""What a generator with a style space offers to attacks that search there."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from trainables.errors import ConfigError
from trainables.priors.base import PriorNetworks


@runtime_checkable
class StyleGenerator(Protocol):
    """A generator in two steps, latents to styles and styles to images, as StyleGAN's.

    Called as a whole it gives the images of latents in [0, 1], as every prior's generator.
    """

    def style(self, z: Tensor) -> Tensor:
        """Return styles (n, W) of latents (n, Z)."""
        ...

    def truncate(self, style: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Return styles for all layers (n, L, W) of styles (n, W).

        The first `cutoff` layers (None: all) are drawn to the mean style: mean + psi (style - mean).
        """
        ...

    def synthesis(self, styles: Tensor) -> Tensor:
        """Return whole images (n, 3, R, R) of styles (n, L, W), or (n, W) for one that all layers share.

        Black is 0 and white is 1, but nothing is clipped: values outside that range occur.
        """
        ...

    def view(self, images: Tensor) -> Tensor:
        """Return the part of whole images that targets see, at their size, (n, 3, S, S); not clipped."""
        ...


def style_generator(prior: PriorNetworks, attack: str) -> StyleGenerator:
    """Return the prior's generator; raise ConfigError if it has no style space for `attack` to search."""
    if not isinstance(prior.generator, StyleGenerator):
        raise ConfigError(
            f"attack '{attack}' expects a prior with a style space; this one only takes latents (prior); "
            "choose prior kind 'stylegan2'"
        )
    generator: StyleGenerator = prior.generator
    return generator
