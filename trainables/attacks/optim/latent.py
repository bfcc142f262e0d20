"""The search of GMI, and of LOMMA on GMI: momentum descent over latents from several starts. No attack."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.attacks.base import Passes, Reconstructions, chunk_size, to_pixels
from trainables.attacks.optim.descent import (
    DescentState,
    Guide,
    Journal,
    Losses,
    descend,
    momentum_step,
)
from trainables.attacks.optim.guided import GuidedSearch
from trainables.attacks.optim.rows import Rows
from trainables.nn.critic import realism
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run


@dataclass(frozen=True, kw_only=True)
class LatentSearch(GuidedSearch):
    """Minimises -D(G(z)) + identity_weight * identity loss of G(z) over z.

    A discriminator that compares the images of a batch, as KEDMI's does, sees each image alone here.

    iterations, restarts: steps per start, independent starts per identity.
    learning_rate, momentum, clip: of `momentum_step`; the first latent is not clipped, as published.
    group: how many identities the published loop averages its loss over. The published gradient of a latent
    is divided by its batch size, so its step depends on it; here the loss is the sum over images divided by
    `group`, which is the published update for a batch of `group` and the same for any batching. 60 is the
    batch of the protocol of KEDMI, LOMMA and TL-DMI; the first GMI code had 100.
    """

    momentum: float = 0.9
    clip: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        above(self, 0, "clip")
        at_least(self, 0, "momentum")

    def passes(self) -> Passes:
        """Return what one identity costs."""
        return Passes.descents(self.restarts, self.iterations, views=self.copies_seen)

    def unguided_latents(self, normals: Tensor) -> Tensor:
        """Return random latents, clipped as every step clips them."""
        return normals.clamp(-self.clip, self.clip)

    def search(
        self, guide: Guide, prior: PriorNetworks, identities: Tensor, *, run: Run, noise_size: int
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions; see `GuidedSearch.search`.

        All restarts of all identities are rows of one batch, worked through in chunks of `batch_size`.
        """
        rows = Rows(self.kind, identities, self.restarts, run)

        def search(first: int, stop: int, journal: Journal) -> tuple[Tensor, Tensor, Tensor]:
            latents, losses = self.descend(
                guide,
                prior,
                rows.starts(first, stop, prior.latent_size),
                rows.own(first, stop),
                rows.noise("head", first, stop, noise_size),
                journal,
            )
            with torch.no_grad():
                return latents, to_pixels(prior.generator(latents)), losses * (stop - first)

        return rows.reconstructions(search, chunk_size(run), self.iterations)

    def descend(
        self,
        guide: Guide,
        prior: PriorNetworks,
        latents: Tensor,
        labels: Tensor,
        noise: Iterator[Tensor],
        journal: Journal,
    ) -> tuple[Tensor, Tensor]:
        """Return the last latents (n, Z) and the losses at `sampled` points, see `optim.descent`.

        latents: (n, Z), labels: (n,), both on the device; noise: of the target's head, (n, size) a step.
        """

        def step(state: DescentState, _: int, drawn: Tensor) -> tuple[DescentState, Losses]:
            latents = state["latents"].requires_grad_(True)
            images = prior.generator(latents)
            prior_loss = -realism(prior.discriminator, images).sum()
            identity_loss = guide(images, labels, drawn).sum()
            total = (prior_loss + self.identity_weight * identity_loss) / self.group
            (gradient,) = torch.autograd.grad(total, latents)
            moved, velocity = momentum_step(
                latents.detach(),
                state["velocity"],
                gradient,
                learning_rate=self.learning_rate,
                momentum=self.momentum,
                clip=self.clip,
            )
            losses = identity_loss.detach(), prior_loss.detach()
            return {"latents": moved, "velocity": velocity}, losses

        start = {"latents": latents.detach().clone(), "velocity": torch.zeros_like(latents)}
        last, losses = descend(step, start, len(labels), self.iterations, [noise], journal)
        return last["latents"], losses
