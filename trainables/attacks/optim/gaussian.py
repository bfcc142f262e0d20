"""The search of KEDMI, and of LOMMA on KEDMI: a Gaussian of latents for each identity. No attack."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainables.attacks.base import Passes, Reconstructions, chunk_size, to_pixels
from trainables.attacks.optim.descent import Guide, Journal, adam_descend
from trainables.attacks.optim.guided import GuidedSearch
from trainables.attacks.optim.rows import by_sample, search_rows
from trainables.errors import TrialError
from trainables.nn.critic import realism
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above
from trainables.runtime.run import Run
from trainables.runtime.seeds import row_noise

# of the presets for a machine without a GPU
CPU_PRIOR = {
    "kind": "kedmi",
    "width": 16,
    "epochs": 12,
    "batch_size": 32,
    "learning_rate": 5e-4,
    "critic_steps": 2,
}


@dataclass(frozen=True, kw_only=True)
class GaussianSearch(GuidedSearch):
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

    log_variance: float = 1.0
    clip: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip is not None:
            above(self, 0, "clip")

    @property
    def group_size(self) -> int:
        """Return `group`: how many identities must stay together."""
        return self.group

    def passes(self) -> Passes:
        """Return what one identity costs."""
        return Passes.descents(1, self.iterations, views=self.copies_seen, images=self.restarts)

    def unguided_latents(self, normals: Tensor) -> Tensor:
        """Return draws from the Gaussian that every identity starts with."""
        start = torch.stack((torch.zeros_like(normals), torch.full_like(normals, self.log_variance)))
        return self.draw(start, normals)

    def search(
        self, guide: Guide, prior: PriorNetworks, identities: Tensor, *, run: Run, noise_size: int
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions; see `GuidedSearch.search`.

        Worked through in whole groups, as many as `batch_size` holds, but at least one.
        """

        def search(first: int, stop: int, journal: Journal) -> tuple[Tensor, Tensor, Tensor]:
            labels = identities[first:stop]

            def noise(use: str, size: int) -> Iterator[Tensor]:
                streams = [run.stream(self.kind, use, label) for label in labels.tolist()]
                return row_noise(streams, size, run.device)

            try:
                gaussian, losses = self.descend(
                    guide,
                    prior,
                    labels.to(run.device),
                    noise("draw", prior.latent_size),
                    noise("head", noise_size),
                    journal,
                )
            except torch.OutOfMemoryError as error:
                if stop - first > self.group:
                    raise
                raise TrialError(
                    f"not even one group of {stop - first} identities fits into the memory of the GPU; "
                    "use a smaller group (attack.group)"
                ) from error
            last = noise("last", prior.latent_size)
            with torch.no_grad():
                latents = [self.draw(gaussian, next(last)) for _ in range(self.restarts)]
                pixels = [to_pixels(prior.generator(drawn)).cpu() for drawn in latents]
            return torch.stack(latents, dim=1), torch.stack(pixels, dim=1), losses * (stop - first)

        count, group = len(identities), self.group
        (latents, images), history = search_rows(
            search, count, chunk_size(run), self.iterations, run=run, group=group, name="groups"
        )
        return by_sample(latents, images, history)

    def descend(
        self,
        guide: Guide,
        prior: PriorNetworks,
        labels: Tensor,
        draws: Iterator[Tensor],
        noise: Iterator[Tensor],
        journal: Journal,
    ) -> tuple[Tensor, Tensor]:
        """Return means and log-variances (2, n, Z) and the losses at `sampled` points, see `descent`.

        labels: (n,), on the device; draws: standard normal (n, Z) a step; noise: of the target's head,
        (n, size) a step. Rows are compared in groups of `group` neighbours.
        """

        def loss(gaussian: Tensor, _: int, drawn: Tensor, head: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            images = prior.generator(self.draw(gaussian, drawn))
            prior_loss = functional.softplus(-realism(prior.discriminator, images, self.group)).sum()
            identity_loss = guide(images, labels, head).sum()
            total = (prior_loss + self.identity_weight * identity_loss) / self.group
            return total, identity_loss, prior_loss

        weight = next(value for value in prior.generator.state_dict().values() if value.is_floating_point())
        zeros = torch.zeros(len(labels), prior.latent_size, dtype=weight.dtype, device=labels.device)
        start, rate = torch.stack((zeros, zeros + self.log_variance)), self.learning_rate
        noises, rows = [draws, noise], len(labels)
        return adam_descend(
            "gaussian", start, loss, self.iterations, noises, journal, rows=rows, learning_rate=rate
        )

    def draw(self, gaussian: Tensor, noise: Tensor) -> Tensor:
        """Return latents (n, Z): mean + exp(log_variance / 2) * noise, clipped if `clip` says so.

        gaussian: (2, n, Z), means and log-variances; noise: (n, Z), standard normal.
        """
        mean, log_variance = gaussian
        latents: Tensor = mean + (log_variance / 2).exp() * noise
        return latents if self.clip is None else latents.clamp(-self.clip, self.clip)
