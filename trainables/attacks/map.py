"""MAP: the likeliest image under a Gaussian of latents, by a descent under random moves from good starts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import (
    Learnt,
    Passes,
    Reconstructions,
    ThreatModel,
    chunk_size,
    render,
)
from trainables.attacks.optim.alignment import AlignedAttack
from trainables.attacks.optim.descent import Guide, Journal, adam_descend, guided
from trainables.attacks.optim.rows import Meter, Rows, search_rows
from trainables.attacks.optim.style_pool import best, worked
from trainables.method import length_knob
from trainables.nn.augmentation import MOVE_DRAWS, random_move
from trainables.nn.identity_losses import IDENTITY_LOSSES, IdentityLossName
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import row_noise


@dataclass(frozen=True, kw_only=True)
class MAP(AlignedAttack):
    """MAP: maximum a posteriori (this project), for any prior whose latents are standard normal vectors.

    Minimises the identity loss of T(view of G(z)) + penalty * |z|² over z by Adam. It starts at the latents
    of a random pool, shared by all identities, to which the target gives the least loss, and returns of each
    identity's descents the one with the least mean loss over views. A view is the image mirrored with
    probability 1/2 and shifted by up to `shift` of its side, in whole pixels.

    iterations: steps of Adam from each start.  learning_rate: of Adam.
    pool: random latents that the target rates.  starts: of them that are descended from.
    views: copies of each image that a step averages over.  rounds: views that choose among the starts.
    Its knobs were chosen on rendered faces.
    """

    kind: ClassVar[str] = "map"
    summary: ClassVar[str] = "descent on penalised latents from the best of a pool, under flips and shifts"
    source: ClassVar[str] = "this project"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {}, "cpu": {"starts": 1}}

    iterations: int = length_knob(120)
    pool: int = 1000
    starts: int = 2
    learning_rate: float = 0.05
    penalty: float = 0.1
    identity_loss: IdentityLossName = "logit"
    views: int = 1
    shift: float = 0.046875  # 3 of 64 pixels
    rounds: int = 16

    def __post_init__(self) -> None:
        at_least(self, 1, "iterations", "pool", "starts", "views", "rounds")
        at_least(self, 0, "penalty", "shift")
        above(self, 0, "learning_rate")
        self.check_alignment()
        if self.starts > self.pool:
            raise ValueError(
                f"starts must be at most {self.pool}, the samples they are out of (pool); got {self.starts}"
            )
        if self.shift >= 0.5:
            raise ValueError(f"shift must be less than 0.5, half an image; got {self.shift}")

    def passes(self) -> Passes:
        """Return what one identity costs."""
        steps = self.starts * self.iterations
        chosen = self.starts if self.starts > 1 else 0
        return Passes(
            generator_forward=steps + chosen + 1,
            generator_backward=steps,
            target_forward=self.copies_seen * self.views * steps + chosen * self.rounds,
            target_backward=self.copies_seen * self.views * steps,
        )

    def shared_passes(self) -> Passes:
        """Return what the pool costs."""
        return Passes(generator_forward=self.pool, target_forward=self.pool)

    def reconstruct(
        self, target: Classifier, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (1, N) reconstructions; see `Attack.reconstruct`."""
        rows, size, noise = Rows(self.kind, identities, self.starts, run), chunk_size(run), target.noise_size
        guide = guided(target, IDENTITY_LOSSES[self.identity_loss])
        choosing = self.rounds if self.starts > 1 else 0
        meter = Meter(run.report, self.pool + len(rows) * (self.iterations + choosing))
        starts = self.select_starts(target, prior, identities, noise, run, meter)

        def search(first: int, stop: int, journal: Journal) -> tuple[Tensor, Tensor]:
            latents, losses = self.descend(
                guide,
                prior,
                starts[first:stop].to(run.device),
                rows.own(first, stop),
                rows.noise("head", first, stop, self.align_draws + self.views * noise),
                rows.noise("views", first, stop, self.views * MOVE_DRAWS),
                journal,
            )
            return latents, losses * (stop - first)

        (latents,), history = search_rows(search, len(rows), size, self.iterations, run=run, meter=meter)

        def rate(first: int, stop: int) -> Tensor:
            draws = next(rows.noise("last views", first, stop, self.rounds * MOVE_DRAWS))
            drawn = next(rows.noise("last head", first, stop, self.rounds * noise))
            images = prior.generator(latents[first:stop].to(run.device))
            return -self.mean_loss(guide, images, rows.own(first, stop), drawn, draws)

        if choosing:
            scores = worked(
                len(rows),
                max(1, size // self.rounds),
                rate,
                resume=run.resume,
                name="selection",
                done=lambda count: meter.add(count * self.rounds),
            )
            chosen = rows.select(latents, best(rows.by_restart(scores), 1))
        else:
            chosen = rows.by_restart(latents)
        return Reconstructions(latents=chosen, images=render(prior.generator, chosen, run), history=history)

    def select_starts(
        self,
        target: Classifier,
        prior: PriorNetworks,
        identities: Tensor,
        noise: int,
        run: Run,
        meter: Meter,
    ) -> Tensor:
        """Return the latents of the pool with the least loss, (starts * N, Z), by restart and identity."""
        pool = torch.randn(self.pool, prior.latent_size, generator=run.stream(self.kind, "pool"))
        guide = guided(target, lambda logits, _: self._each(logits, identities.to(run.device)))

        def rate(first: int, stop: int) -> Tensor:
            streams = [run.stream(self.kind, "pool head", row) for row in range(first, stop)]
            images = prior.generator(pool[first:stop].to(run.device))
            return -guide(images, identities, next(row_noise(streams, noise, run.device)))

        scores = worked(self.pool, chunk_size(run), rate, resume=run.resume, name="pool", done=meter.add)
        return pool[best(scores, self.starts)].flatten(0, 1)

    def _each(self, logits: Tensor, identities: Tensor) -> Tensor:
        """Return the loss of logits (n, K) against each of the `identities` (N,), (n, N)."""
        loss = IDENTITY_LOSSES[self.identity_loss]
        return torch.stack([loss(logits, identity.expand(len(logits))) for identity in identities], 1)

    def mean_loss(self, guide: Guide, images: Tensor, labels: Tensor, noise: Tensor, draws: Tensor) -> Tensor:
        """Return the identity loss (n,) of images (n, 3, S, S), a mean over V moved views of each.

        noise: of the target's head, (n, V * size); draws: of the views, (n, V * `MOVE_DRAWS`).
        """
        count = draws.shape[1] // MOVE_DRAWS
        moved = random_move(
            images.repeat_interleave(count, 0),
            draws.reshape(-1, MOVE_DRAWS),
            round(self.shift * images.shape[-1]),
        )
        head = noise.reshape(len(moved), -1)
        return guide(moved, labels.repeat_interleave(count), head).reshape(-1, count).mean(1)

    def descend(
        self,
        guide: Guide,
        prior: PriorNetworks,
        latents: Tensor,
        labels: Tensor,
        noise: Iterator[Tensor],
        views: Iterator[Tensor],
        journal: Journal,
    ) -> tuple[Tensor, Tensor]:
        """Return the last latents (n, Z) and the mean (identity, |z|²) losses at sampled points, (P, 2).

        latents: (n, Z), labels: (n,), both on the device; noise and views: the draws of `mean_loss`, the
        noise after that of the copies.
        """
        moves = self.views * MOVE_DRAWS

        def look(images: Tensor, labels: Tensor, drawn: Tensor) -> Tensor:
            return self.mean_loss(guide, images, labels, drawn[:, :-moves], drawn[:, -moves:])

        seen = self.aligned(look)

        def loss(latents: Tensor, _: int, drawn: Tensor, draws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            images = prior.generator(latents)
            identity_loss = seen(images, labels, torch.cat((drawn, draws), 1)).sum()
            size = latents.square().sum()
            return identity_loss + self.penalty * size, identity_loss, size

        return adam_descend(
            "latents",
            latents,
            loss,
            self.iterations,
            [noise, views],
            journal,
            rows=len(labels),
            learning_rate=self.learning_rate,
        )
