"""Generators with a style space: the methods that attacks search there by."""

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


@runtime_checkable
class BlockGenerator(StyleGenerator, Protocol):
    """A `StyleGenerator` whose synthesis goes through `depth` blocks, and can start at any of them.

    Between blocks there are features (n, C, s, s) and a picture (n, 3, s, s) to which each block adds; before
    block 0 both are None.
    """

    @property
    def depth(self) -> int:
        """Return how many blocks make an image."""
        ...

    def advance(
        self, styles: Tensor, block: int, features: Tensor | None, picture: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return features and picture after block `block`, from those before it.

        styles: as for `synthesis`. Without a picture, what the blocks before would have added is left out.
        """
        ...

    def finish(self, styles: Tensor, block: int, features: Tensor | None, picture: Tensor | None) -> Tensor:
        """Return whole images as `synthesis` does, from the features and picture before block `block`."""
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


def block_generator(prior: PriorNetworks, attack: str) -> BlockGenerator:
    """Return the prior's generator; raise ConfigError if `attack` cannot start inside it."""
    generator = style_generator(prior, attack)
    if not isinstance(generator, BlockGenerator):
        raise ConfigError(
            f"attack '{attack}' expects a generator that goes block by block; got a "
            f"{type(generator).__name__} (prior); choose prior kind 'stylegan2'"
        )
    return generator
