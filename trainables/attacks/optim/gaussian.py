"""The search of KEDMI, and of LOMMA on KEDMI: a Gaussian of latents for each identity. No attack."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

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
    adam_step,
    descend,
    history,
    realism,
)
from trainables.errors import TrialError
from trainables.method import length_knob
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.storage.resume import Resume


@dataclass(frozen=True, kw_only=True)
class GaussianSearch(Attack):
    """Minimises softplus(-D(G(z))) + identity_weight * identity loss of G(z) over the Gaussian behind z.

    A step draws one z = mean + exp(log_variance / 2) * noise for each identity and moves both with Adam.
    Afterwards `restarts` latents are drawn from each Gaussian.

    iterations, learning_rate: of Adam.
    log_variance: where all log-variances start; the means start at 0. Published 1, in TL-DMI's code 0.
    clip: what latents are clipped to before the generator, in every step and at the end; None clips nothing.
    group: how many identities the prior's discriminator compares with each other: N identities are cut, in
    the order given, into groups of `group`, the last may be smaller. An identity's result depends on its
    group, as in the published loop, whose batch is the group of 60; it depends neither on the other groups
    nor on how many are worked on at once. 1 makes every identity independent of all others. The gradient is
    that of the sum over identities divided by `group`: the published mean, for a whole group.
    """

    is_prefix_of_longer: ClassVar[bool] = True

    iterations: int = length_knob(2400)
    restarts: int = 5
    learning_rate: float = 0.02
    identity_weight: float = 100.0
    log_variance: float = 1.0
    clip: float | None = None
    group: int = 60

    def __post_init__(self) -> None:
        at_least(self, 1, "iterations", "restarts", "group")
        above(self, 0, "learning_rate")
        at_least(self, 0, "identity_weight")
        if self.clip is not None:
            above(self, 0, "clip")

    @property
    def group_size(self) -> int:
        """Return `group`: how many identities must stay together."""
        return self.group

    def passes(self) -> Passes:
        """Return what one identity costs."""
        return Passes(
            generator_forward=self.iterations + self.restarts,
            generator_backward=self.iterations,
            target_forward=self.iterations,
            target_backward=self.iterations,
        )

    def unguided_latents(self, normals: Tensor) -> Tensor:
        """Return draws from the Gaussian that every identity starts with."""
        start = torch.stack((torch.zeros_like(normals), torch.full_like(normals, self.log_variance)))
        return self.draw(start, normals)

    def search(
        self, guide: Guide, prior: PriorNetworks, identities: Tensor, *, run: Run, noise_size: int
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions of `identities`, (N,); `guide` wants (n, noise_size) noise.

        Worked through in whole groups, as many as `batch_size` holds, but at least one.
        """
        identities = identities.cpu()
        rows = len(identities)
        finished = 0

        def work(first: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
            nonlocal finished
            labels = identities[first * self.group : stop * self.group]
            count = len(labels)

            def progress(iteration: int, identity_loss: float, prior_loss: float) -> None:
                done = finished + iteration * count
                total = rows * self.iterations
                run.report("attack", done, total, identity_loss=identity_loss, prior_loss=prior_loss)

            def streams(use: str) -> list[torch.Generator]:
                return [run.stream(self.kind, use, int(label)) for label in labels]

            try:
                gaussian, losses = self.descend(
                    guide,
                    prior,
                    labels.to(run.device),
                    row_noise(streams("draw"), prior.latent_size, run.device),
                    row_noise(streams("head"), noise_size, run.device),
                    progress,
                    resume=run.resume,
                    name=f"groups-{first}-{stop}",
                )
            except torch.OutOfMemoryError as error:
                if stop - first > 1:
                    raise
                raise TrialError(
                    f"not even one group of {count} identities fits into the memory of the GPU; "
                    "use a smaller group (attack.group)"
                ) from error
            last = row_noise(streams("last"), prior.latent_size, run.device)
            with torch.no_grad():
                latents = [self.draw(gaussian, next(last)) for _ in range(self.restarts)]
                pixels = [to_pixels(prior.generator(one)).cpu() for one in latents]
            finished += count * self.iterations
            return torch.stack(latents).cpu(), torch.stack(pixels), losses * count

        groups = -(-rows // self.group)
        at_once = max(1, chunk_size(run) // self.group)
        chunks = in_chunks(groups, at_once, work)
        return Reconstructions(
            latents=torch.cat([latents for latents, _, _ in chunks], dim=1),
            images=torch.cat([pixels for _, pixels, _ in chunks], dim=1),
            history=history(self.iterations, [losses for _, _, losses in chunks], rows),
        )

    def descend(
        self,
        guide: Guide,
        prior: PriorNetworks,
        labels: Tensor,
        draws: Iterator[Tensor],
        noise: Iterator[Tensor],
        progress: Progress,
        *,
        resume: Resume | None = None,
        name: str = "rows",
    ) -> tuple[Tensor, Tensor]:
        """Return means and log-variances (2, n, Z) and the losses at `sampled` points, see `descent`.

        labels: (n,), on the device; draws: standard normal (n, Z) a step; noise: of the target's head,
        (n, size) a step. Rows are compared in groups of `group` neighbours.
        """

        def step(
            state: DescentState, iteration: int, drawn: Tensor, head: Tensor
        ) -> tuple[DescentState, Losses]:
            gaussian = state["gaussian"].requires_grad_(True)
            images = prior.generator(self.draw(gaussian, drawn))
            prior_loss = functional.softplus(-realism(prior.discriminator, images, self.group)).sum()
            identity_loss = guide(images, labels, head).sum()
            total = (prior_loss + self.identity_weight * identity_loss) / self.group
            (gradient,) = torch.autograd.grad(total, gaussian)
            moved, first, second = adam_step(
                gaussian.detach(),
                state["first"],
                state["second"],
                gradient,
                steps=iteration + 1,
                learning_rate=self.learning_rate,
            )
            losses = identity_loss.detach(), prior_loss.detach()
            return {"gaussian": moved, "first": first, "second": second}, losses

        weight = next(prior.generator.parameters())
        zeros = torch.zeros(len(labels), prior.latent_size, dtype=weight.dtype, device=labels.device)
        gaussian = torch.stack((zeros, zeros + self.log_variance))
        start = {
            "gaussian": gaussian,
            "first": torch.zeros_like(gaussian),
            "second": torch.zeros_like(gaussian),
        }
        last, losses = descend(
            step, start, len(labels), self.iterations, [draws, noise], progress, resume=resume, name=name
        )
        return last["gaussian"], losses

    def draw(self, gaussian: Tensor, noise: Tensor) -> Tensor:
        """Return latents (n, Z): mean + exp(log_variance / 2) * noise, clipped if `clip` says so.

        gaussian: (2, n, Z), means and log-variances; noise: (n, Z), standard normal.
        """
        mean, log_variance = gaussian
        latents: Tensor = mean + (log_variance / 2).exp() * noise
        return latents if self.clip is None else latents.clamp(-self.clip, self.clip)
