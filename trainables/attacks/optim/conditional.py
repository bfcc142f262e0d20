"""The search of PLG-MI, and of LOKT on its surrogates: latents of a conditional GAN. No attack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trainables.attacks.base import Reconstructions, chunk_size, to_pixels
from trainables.attacks.optim.alignment import AlignedAttack
from trainables.attacks.optim.descent import Guide, Journal, adam_descend
from trainables.attacks.optim.rows import Rows
from trainables.errors import ConfigError
from trainables.method import length_knob
from trainables.nn.augmentation import AUGMENTATION_DRAWS, random_augmentation
from trainables.nn.conditional_gan import ConditionalGenerator, with_labels
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run

VIEWS = 2  # of every image, for every classifier


@dataclass(frozen=True, kw_only=True)
class ConditionalSearch(AlignedAttack):
    """Knobs of the search: Adam on the latents z of G(z, identity), from several starts.

    The loss of an image is the sum over `VIEWS` random views, averaged over the classifiers that guide it.

    iterations: steps of Adam from each start.  restarts: independent starts per identity.
    learning_rate: of Adam.
    group: images that the published loop averages its loss over; Adam's step hardly depends on it.
    """

    is_prefix_of_longer: ClassVar[bool] = True

    iterations: int = length_knob(600)
    restarts: int = 5
    learning_rate: float = 0.1
    group: int = 60

    def __post_init__(self) -> None:
        at_least(self, 1, "iterations", "restarts", "group")
        above(self, 0, "learning_rate")
        self.check_alignment()

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior makes images of an identity."""
        if not isinstance(prior.generator, ConditionalGenerator):
            raise ConfigError(
                f"attack '{self.kind}' expects a prior that makes images of an identity; got a "
                f"{type(prior.generator).__name__} (prior); choose the prior 'plg' or 'lokt'"
            )

    def search(
        self,
        guides: Sequence[Guide],
        noise_sizes: Sequence[int],
        prior: PriorNetworks,
        identities: Tensor,
        *,
        run: Run,
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions of `identities` (N,); the networks are lean copies.

        noise_sizes: numbers that each guide takes per image.  history: its ``prior_loss`` is 0.
        """
        rows, width = Rows(self.kind, identities, self.restarts, run), prior.latent_size - 1
        numbers = VIEWS * len(guides) * AUGMENTATION_DRAWS

        def search(first: int, stop: int, journal: Journal) -> tuple[Tensor, Tensor, Tensor]:
            views = rows.noise("views", first, stop, numbers)
            heads = rows.noise("head", first, stop, self.align_draws + VIEWS * sum(noise_sizes))
            start, labels = rows.starts(first, stop, width), rows.own(first, stop)
            latents, losses = self.ascend(guides, noise_sizes, prior, start, labels, [views, heads], journal)
            with torch.no_grad():
                return latents, to_pixels(prior.generator(latents)), losses * (stop - first)

        return rows.reconstructions(search, chunk_size(run), self.iterations)

    def ascend(
        self,
        guides: Sequence[Guide],
        noise_sizes: Sequence[int],
        prior: PriorNetworks,
        z: Tensor,
        labels: Tensor,
        noises: Sequence[Iterator[Tensor]],
        journal: Journal,
    ) -> tuple[Tensor, Tensor]:
        """Return the last latents (n, Z + 1), labels included, and the losses at `sampled` points, (P, 2).

        z: (n, Z), labels: (n,), on the device.  noises: of views, and of copies and heads, every step.
        """
        cuts = [size for size in noise_sizes for _ in range(VIEWS)]
        numbers = [AUGMENTATION_DRAWS] * len(cuts)

        def look(images: Tensor, labels: Tensor, drawn: Tensor) -> Tensor:
            losses = images.new_zeros(len(labels))
            parts = torch.split(drawn, [*cuts, *numbers], 1)
            for number, (noise, draws) in enumerate(zip(parts[: len(cuts)], parts[len(cuts) :], strict=True)):
                guide = guides[number // VIEWS]
                losses = losses + guide(random_augmentation(images, draws), labels, noise) / len(guides)
            return losses

        seen = self.aligned(look)

        def loss(z: Tensor, _: int, views: Tensor, heads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            images = prior.generator(with_labels(z, labels))
            total = seen(images, labels, torch.cat((heads, views), 1)).sum()
            return total / self.group, total, torch.zeros_like(total)

        rows, rate = len(labels), self.learning_rate
        z, means = adam_descend("z", z, loss, self.iterations, noises, journal, rows=rows, learning_rate=rate)
        return with_labels(z, labels), means
