"""GMI: descend in the latent space of a GAN towards images that the target gives to an identity."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import (
    Passes,
    Reconstructions,
    ThreatModel,
    check_fit,
    in_chunks,
    row_noise,
    rows_at_once,
    to_pixels,
)
from trainables.check import above, at_least
from trainables.errors import TrialError
from trainables.identity_loss import cross_entropy
from trainables.lean import lean
from trainables.noise import head_noise, noise_size
from trainables.priors.base import PriorNetworks
from trainables.progress import Report
from trainables.randomness import stream
from trainables.resume import Resume

HISTORY_POINTS = 50


def momentum_step(
    latents: Tensor, velocity: Tensor, gradient: Tensor, *, learning_rate: float, momentum: float, clip: float
) -> tuple[Tensor, Tensor]:
    """Return the next latents and velocity; all shapes (n, Z).

    v' = m v - lr g;  z' = clamp(z - m v + (1 + m) v', -clip, clip): Nesterov's step followed by a clamp that
    leaves the velocity alone (released code of GMI).
    """
    following = momentum * velocity - learning_rate * gradient
    moved = latents - momentum * velocity + (1 + momentum) * following
    return moved.clamp(-clip, clip), following


@dataclass(frozen=True, kw_only=True)
class GMI:
    """GMI: Zhang et al. 2020, "The Secret Revealer", with the settings of the later 64-pixel face protocol.

    Minimises -D(G(z)) + identity_weight * cross-entropy(T(G(z)), identity) over z.

    iterations, restarts: steps per start, independent starts per identity.
    learning_rate, momentum, clip: of `momentum_step`; the first latent is not clipped, as published.
    group: how many identities the published loop averages its loss over. The published gradient of a latent
    is divided by its batch size, so its step depends on it; here the loss is the sum over images divided by
    `group`, which is the published update for a batch of `group` and the same for any batching. 60 is the
    batch of the protocol of KEDMI, LOMMA and TL-DMI; the first GMI code had 100.
    """

    kind: ClassVar[str] = "gmi"
    summary: ClassVar[str] = "gradient descent on GAN latents, cross-entropy and critic score"
    source: ClassVar[str] = "Zhang et al., CVPR 2020 (GMI)"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {"iterations": 300, "restarts": 1},
    }
    auxiliary: ClassVar[None] = None

    iterations: int = 2400
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

    def invert(
        self,
        target: Classifier,
        prior: PriorNetworks,
        identities: Tensor,
        *,
        seed: int,
        device: str,
        report: Report,
        batch_size: int | None = None,
        auxiliary: Mapping[str, Any] | None = None,
        resume: Resume | None = None,
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions; see `Attack.invert`.

        All restarts of all identities are rows of one batch, worked through in chunks of `batch_size`.
        """
        target = lean(target, device)
        prior = PriorNetworks(
            generator=lean(prior.generator, device),
            # measured: its instance norms lose more by channels last than its convolutions gain
            discriminator=lean(prior.discriminator, device, channels_last=False),
            latent_size=prior.latent_size,
        )
        check_fit(target, prior, identities, device)
        identities = identities.cpu()
        labels = identities.repeat(self.restarts)  # row r * N + i is restart r of identity i
        rows = len(labels)
        starts = torch.stack(
            [
                torch.randn(prior.latent_size, generator=self._stream(seed, row, identities, "start"))
                for row in range(rows)
            ]
        )
        finished = 0

        def work(first: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
            nonlocal finished

            def progress(iteration: int, identity_loss: float, prior_loss: float) -> None:
                done = finished + iteration * (stop - first)
                total = rows * self.iterations
                report("attack", done, total, identity_loss=identity_loss, prior_loss=prior_loss)

            generators = [self._stream(seed, row, identities, "head") for row in range(first, stop)]
            latents, losses = self.descend(
                target,
                prior,
                starts[first:stop].to(device),
                labels[first:stop].to(device),
                row_noise(generators, noise_size(target), device),
                progress,
                resume=resume or Resume(),
                name=f"rows-{first}-{stop}",
            )
            with torch.no_grad():
                pixels = to_pixels(prior.generator(latents))
            finished += (stop - first) * self.iterations
            return latents.cpu(), pixels.cpu(), losses * (stop - first)

        chunks = in_chunks(rows, batch_size or rows_at_once(device), work)
        shape = (self.restarts, len(identities))
        images = torch.cat([pixels for _, pixels, _ in chunks])
        mean = torch.stack([losses for _, _, losses in chunks]).sum(0) / rows
        return Reconstructions(
            latents=torch.cat([latents for latents, _, _ in chunks]).reshape(*shape, -1),
            images=images.reshape(*shape, *images.shape[1:]),
            history=[
                {"iteration": float(iteration), "identity_loss": identity_loss, "prior_loss": prior_loss}
                for iteration, (identity_loss, prior_loss) in zip(self.sampled(), mean.tolist(), strict=True)
            ],
        )

    @staticmethod
    def _stream(seed: int, row: int, identities: Tensor, use: str) -> torch.Generator:
        restart, position = divmod(row, len(identities))
        return stream(seed, "gmi", use, restart, int(identities[position]))

    def sampled(self) -> list[int]:
        """Return the iterations whose losses are kept, from 0 to the last."""
        every = max(1, self.iterations // HISTORY_POINTS)
        return sorted({*range(0, self.iterations, every), self.iterations - 1})

    def descend(
        self,
        target: Classifier,
        prior: PriorNetworks,
        latents: Tensor,
        labels: Tensor,
        noise: Iterator[Tensor],
        progress: Callable[[int, float, float], None],
        *,
        resume: Resume | None = None,
        name: str = "rows",
    ) -> tuple[Tensor, Tensor]:
        """Return the last latents (n, Z) and the mean (identity, prior) losses at `sampled` points, (P, 2).

        latents: (n, Z), labels: (n,), both on the device; noise: for a target with a stochastic head, its
        draws (n, size) of every step. ``progress(iteration, identity_loss, prior_loss)`` is called about once
        a second: reading a loss waits for the device, so it is not read in between. What `resume` holds under
        `name` is taken up, and the state is saved there from time to time and at the end.
        """
        resume = resume or Resume()
        velocity = torch.zeros_like(latents)
        keep = set(self.sampled())
        kept: list[Tensor] = []
        begin = 0
        saved = resume.read(name)
        if saved is not None:
            begin, kept = saved["iteration"], list(saved["kept"].to(latents))
            latents, velocity = saved["latents"].to(latents), saved["velocity"].to(latents)
            for _ in range(begin):
                next(noise)  # the draws of the steps that were done
        last_report = time.monotonic()
        for iteration in range(begin, self.iterations):
            latents = latents.detach().requires_grad_(True)
            images = prior.generator(latents)
            prior_loss = -prior.discriminator(images).sum()
            with head_noise(target, next(noise)):
                identity_loss = cross_entropy(target(images), labels).sum()
            total = (prior_loss + self.identity_weight * identity_loss) / self.group
            (gradient,) = torch.autograd.grad(total, latents)
            latents, velocity = momentum_step(
                latents.detach(),
                velocity,
                gradient,
                learning_rate=self.learning_rate,
                momentum=self.momentum,
                clip=self.clip,
            )
            if iteration in keep:
                kept.append(torch.stack((identity_loss, prior_loss)).detach() / len(labels))
            if time.monotonic() - last_report > 1 or iteration == self.iterations - 1:
                means = torch.stack((identity_loss, prior_loss)).detach() / len(labels)
                if not (torch.isfinite(means).all() and torch.isfinite(latents).all()):
                    raise TrialError(
                        f"the attack's losses are not finite at iteration {iteration + 1} of "
                        f"{self.iterations}: identity_loss, prior_loss = {means.tolist()}"
                    )
                progress(iteration + 1, *means.tolist())
                last_report = time.monotonic()
            if resume.due() or iteration == self.iterations - 1:
                resume.write(
                    name,
                    {
                        "iteration": iteration + 1,
                        "latents": latents.detach().cpu(),
                        "velocity": velocity.cpu(),
                        "kept": torch.stack(kept).cpu(),
                    },
                )
        return latents, torch.stack(kept).cpu()
