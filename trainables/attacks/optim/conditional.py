"""The search of PLG-MI, and of LOKT on its surrogates: latents of a conditional GAN. No attack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trainables.attacks.base import Attack, Reconstructions, chunk_size, in_chunks, row_noise, to_pixels
from trainables.attacks.optim.descent import (
    DescentState,
    Guide,
    Losses,
    Progress,
    adam_step,
    descend,
    history,
)
from trainables.errors import ConfigError
from trainables.method import length_knob
from trainables.nn.augmentation import AUGMENTATION_DRAWS, random_augmentation
from trainables.nn.conditional_gan import ConditionalGenerator, with_labels
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.storage.resume import Resume

VIEWS = 2  # of every image, for every classifier


@dataclass(frozen=True, kw_only=True)
class ConditionalSearch(Attack):
    """Knobs of the search: Adam on the latents z of G(z, identity), from several starts.

    The loss of an image is the sum over `VIEWS` random views, averaged over the classifiers that guide it.

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
        identities = identities.cpu()
        labels, width = identities.repeat(self.restarts), prior.latent_size - 1
        rows, finished = len(labels), 0

        def streams(use: str, first: int, stop: int) -> list[torch.Generator]:
            return [
                run.stream(self.kind, use, row // len(identities), int(labels[row]))
                for row in range(first, stop)
            ]

        def work(first: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
            nonlocal finished

            def progress(iteration: int, identity_loss: float, _: float) -> None:
                done = finished + iteration * (stop - first)
                run.report("attack", done, rows * self.iterations, identity_loss=identity_loss)

            start = [torch.randn(width, generator=each) for each in streams("start", first, stop)]
            numbers = VIEWS * len(guides) * AUGMENTATION_DRAWS
            views = row_noise(streams("views", first, stop), numbers, run.device)
            heads = row_noise(streams("head", first, stop), VIEWS * sum(noise_sizes), run.device)
            latents, losses = self.ascend(
                guides,
                noise_sizes,
                prior,
                torch.stack(start).to(run.device),
                labels[first:stop].to(run.device),
                [views, heads],
                progress,
                resume=run.resume,
                name=f"rows-{first}-{stop}",
            )
            with torch.no_grad():
                pixels = to_pixels(prior.generator(latents))
            finished += (stop - first) * self.iterations
            return latents.cpu(), pixels.cpu(), losses * (stop - first)

        chunks = in_chunks(rows, chunk_size(run), work)
        images = torch.cat([pixels for _, pixels, _ in chunks])
        shape = (self.restarts, len(identities))
        return Reconstructions(
            latents=torch.cat([latents for latents, _, _ in chunks]).reshape(*shape, -1),
            images=images.reshape(*shape, *images.shape[1:]),
            history=history(self.iterations, [losses for _, _, losses in chunks], rows),
        )

    def ascend(
        self,
        guides: Sequence[Guide],
        noise_sizes: Sequence[int],
        prior: PriorNetworks,
        z: Tensor,
        labels: Tensor,
        noises: Sequence[Iterator[Tensor]],
        progress: Progress,
        *,
        resume: Resume | None = None,
        name: str = "rows",
    ) -> tuple[Tensor, Tensor]:
        """Return the last latents (n, Z + 1), labels included, and the losses at `sampled` points, (P, 2).

        z: (n, Z), labels: (n,), on the device.  noises: of views and of heads, every step.
        """
        cuts = [size for size in noise_sizes for _ in range(VIEWS)]

        def step(
            state: DescentState, iteration: int, views: Tensor, heads: Tensor
        ) -> tuple[DescentState, Losses]:
            z = state["z"].detach().requires_grad_(True)
            images = prior.generator(with_labels(z, labels))
            loss = images.new_zeros(len(labels))
            parts = zip(torch.split(views, AUGMENTATION_DRAWS, 1), torch.split(heads, cuts, 1), strict=True)
            for number, (draws, lent) in enumerate(parts):
                guide = guides[number // VIEWS]
                loss = loss + guide(random_augmentation(images, draws), labels, lent) / len(guides)
            (gradient,) = torch.autograd.grad(loss.sum() / self.group, z)
            moved, first, second = adam_step(
                state["z"],
                state["first"],
                state["second"],
                gradient,
                steps=iteration + 1,
                learning_rate=self.learning_rate,
            )
            total = loss.detach().sum()
            return {"z": moved, "first": first, "second": second}, (total, torch.zeros_like(total))

        start = {"z": z, "first": torch.zeros_like(z), "second": torch.zeros_like(z)}
        state, losses = descend(
            step, start, len(labels), self.iterations, noises, progress, resume=resume, name=name
        )
        return with_labels(state["z"], labels), losses
