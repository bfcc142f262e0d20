"""The search of GMI, and of LOMMA on GMI: momentum descent over latents from several starts. No attack."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trainables.attacks.base import (
    Attack,
    Passes,
    Reconstructions,
    chunk_size,
    in_chunks,
    row_noise,
    to_pixels,
)
from trainables.attacks.optim.descent import (
    DescentState,
    Guide,
    Losses,
    Progress,
    descend,
    history,
    momentum_step,
    realism,
)
from trainables.method import length_knob
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.storage.resume import Resume


@dataclass(frozen=True, kw_only=True)
class LatentSearch(Attack):
    """Minimises -D(G(z)) + identity_weight * identity loss of G(z) over z.

    A discriminator that compares the images of a batch, as KEDMI's does, sees each image alone here.

    iterations, restarts: steps per start, independent starts per identity.
    learning_rate, momentum, clip: of `momentum_step`; the first latent is not clipped, as published.
    group: how many identities the published loop averages its loss over. The published gradient of a latent
    is divided by its batch size, so its step depends on it; here the loss is the sum over images divided by
    `group`, which is the published update for a batch of `group` and the same for any batching. 60 is the
    batch of the protocol of KEDMI, LOMMA and TL-DMI; the first GMI code had 100.
    """

    is_prefix_of_longer: ClassVar[bool] = True

    iterations: int = length_knob(2400)
    restarts: int = 5
    learning_rate: float = 0.02
    momentum: float = 0.9
    identity_weight: float = 100.0
    clip: float = 1.0
    group: int = 60

    def __post_init__(self) -> None:
        at_least(self, 1, "iterations", "restarts", "group")
        above(self, 0, "learning_rate", "clip")
        at_least(self, 0, "momentum", "identity_weight")

    def passes(self) -> Passes:
        """Return what one identity costs."""
        steps = self.iterations * self.restarts
        return Passes(
            generator_forward=steps + self.restarts,
            generator_backward=steps,
            target_forward=steps,
            target_backward=steps,
        )

    def unguided_latents(self, normals: Tensor) -> Tensor:
        """Return random latents, clipped as every step clips them."""
        return normals.clamp(-self.clip, self.clip)

    def search(
        self, guide: Guide, prior: PriorNetworks, identities: Tensor, *, run: Run, noise_size: int
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions of `identities`, (N,); `guide` wants (n, noise_size) noise.

        All restarts of all identities are rows of one batch, worked through in chunks of `batch_size`.
        """
        identities = identities.cpu()
        labels = identities.repeat(self.restarts)  # row r * N + i is restart r of identity i
        rows = len(labels)
        starts = torch.stack(
            [
                torch.randn(prior.latent_size, generator=self._stream(run, row, identities, "start"))
                for row in range(rows)
            ]
        )
        finished = 0

        def work(first: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
            nonlocal finished

            def progress(iteration: int, identity_loss: float, prior_loss: float) -> None:
                done = finished + iteration * (stop - first)
                total = rows * self.iterations
                run.report("attack", done, total, identity_loss=identity_loss, prior_loss=prior_loss)

            generators = [self._stream(run, row, identities, "head") for row in range(first, stop)]
            latents, losses = self.descend(
                guide,
                prior,
                starts[first:stop].to(run.device),
                labels[first:stop].to(run.device),
                row_noise(generators, noise_size, run.device),
                progress,
                resume=run.resume,
                name=f"rows-{first}-{stop}",
            )
            with torch.no_grad():
                pixels = to_pixels(prior.generator(latents))
            finished += (stop - first) * self.iterations
            return latents.cpu(), pixels.cpu(), losses * (stop - first)

        chunks = in_chunks(rows, chunk_size(run), work)
        shape = (self.restarts, len(identities))
        images = torch.cat([pixels for _, pixels, _ in chunks])
        return Reconstructions(
            latents=torch.cat([latents for latents, _, _ in chunks]).reshape(*shape, -1),
            images=images.reshape(*shape, *images.shape[1:]),
            history=history(self.iterations, [losses for _, _, losses in chunks], rows),
        )

    def _stream(self, run: Run, row: int, identities: Tensor, use: str) -> torch.Generator:
        restart, position = divmod(row, len(identities))
        return run.stream(self.kind, use, restart, int(identities[position]))

    def descend(
        self,
        guide: Guide,
        prior: PriorNetworks,
        latents: Tensor,
        labels: Tensor,
        noise: Iterator[Tensor],
        progress: Progress,
        *,
        resume: Resume | None = None,
        name: str = "rows",
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
        rows = len(labels)
        last, losses = descend(
            step, start, rows, self.iterations, [noise], progress, resume=resume, name=name
        )
        return last["latents"], losses
