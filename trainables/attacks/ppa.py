"""PPA: descend in the style space of a StyleGAN2 from the best of many samples; keep what survives crops."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise, noise_size
from trainables.attacks.base import (
    Attack,
    Passes,
    Reconstructions,
    ThreatModel,
    check_fit,
    chunk_size,
    in_chunks,
    row_noise,
    to_pixels,
)
from trainables.attacks.optim.descent import (
    DescentState,
    Losses,
    Progress,
    adam_step,
    descend,
    history,
    inference_prior,
)
from trainables.attacks.optim.style_pool import (
    DECAYS,
    Meter,
    best,
    best_styles,
    crop_scores,
    picture,
    sample_styles,
    worked,
)
from trainables.attacks.optim.styles import style_generator
from trainables.method import length_knob
from trainables.nn.crops import Crop, apply_crop, draw_crops
from trainables.nn.identity_losses import poincare
from trainables.nn.inference import inference_copy
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.storage.resume import Resume


@dataclass(frozen=True, kw_only=True)
class PPA(Attack):
    """PPA: Struppek et al. 2022, "Plug & Play Attacks"; the defaults are those of its FaceScrub runs.

    Three parts. Of `candidates` samples, one pool for all identities, each identity gets the `starts` with
    the largest mean softmax over the image and its mirror image. From each of them the Poincaré distance of
    the target's logits to the identity is minimised over one style that all layers share, through a random
    crop at each step. Last the `kept` with the largest mean softmax over `rounds` random crops are returned,
    best first. The latents returned are styles.

    psi, cutoff: truncation of the samples, and in how many layers; the search starts from the first layer's.
    iterations, learning_rate: of Adam with decays 0.1 and 0.1.  milestones: the rate falls to a tenth after
        these many steps.
    crop: least and largest share of the image that a step's crop shows.
    selection_crop, selection_ratio: the same, and width over height, in the last part; half are mirrored.
    clip_samples, clip: whether images are cut to [0, 1] before the target sees them, in the first part and
        later. An image that is returned always is, and has 8 bits.
    realism_weight: of softplus(-D(whole image)), 0 in all published runs.
    group: how many images the published loop averages its loss over; only Adam's epsilon feels it.

    Every step of a part has one crop for all images, from a stream of the seed. Published code draws one for
    each batch of 25, which is the same for an image, but so its crops depend on the batching. The published
    crops of the last part are resized to 224 pixels, whatever the image size; ours to the image size.
    """

    kind: ClassVar[str] = "ppa"
    summary: ClassVar[str] = (
        "Poincaré descent over StyleGAN2 styles from selected samples, under random crops"
    )
    source: ClassVar[str] = "Struppek et al., ICML 2022 (PPA)"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "paper_celeba": {"candidates": 5000, "iterations": 70},
        "paper_dogs": {"iterations": 100, "learning_rate": 0.01, "crop": (0.75, 1.0)},
        "cpu": {"candidates": 1000, "starts": 4, "rounds": 20, "kept": 1},
    }

    candidates: int = 2000
    psi: float = 0.5
    cutoff: int = 8
    clip_samples: bool = True
    starts: int = 200
    iterations: int = length_knob(50)
    learning_rate: float = 0.005
    milestones: tuple[int, ...] = ()
    crop: tuple[float, float] = (0.9, 1.0)
    clip: bool = False
    realism_weight: float = 0.0
    group: int = 25
    rounds: int = 100
    selection_crop: tuple[float, float] = (0.5, 0.9)
    selection_ratio: tuple[float, float] = (0.8, 1.2)
    kept: int = 50

    def __post_init__(self) -> None:
        at_least(self, 1, "candidates", "starts", "iterations", "group", "rounds", "kept", "cutoff")
        at_least(self, 0, "psi", "realism_weight")
        above(self, 0, "learning_rate")
        for name, most in (("crop", 1.0), ("selection_crop", 1.0), ("selection_ratio", 100.0)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= most:
                raise ValueError(
                    f"{name} must be two numbers with 0 < first <= second <= {most}; got {low, high}"
                )
        for few, many in (("kept", "starts"), ("starts", "candidates")):
            if getattr(self, few) > getattr(self, many):
                raise ValueError(
                    f"{few} must be at most {many}, {getattr(self, many)}; got {getattr(self, few)}"
                )

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior has a style space."""
        style_generator(prior, self.kind)

    def passes(self) -> Passes:
        """Return what one identity costs, without the pool of candidates, which all identities share."""
        steps = self.starts * self.iterations
        return Passes(
            generator_forward=steps + self.starts + self.kept,
            generator_backward=steps,
            target_forward=steps + self.starts * self.rounds,
            target_backward=steps,
        )

    def unguided(self, prior: PriorNetworks, count: int, *, run: Run) -> Tensor:
        """Return the pictures of random samples of the pool; see `Attack.unguided`."""
        generator = style_generator(prior, self.kind)
        styles = sample_styles(
            generator, prior.latent_size, count, seed=run.seed, kind="unguided", device=run.device
        )
        starts = generator.truncate(styles.to(run.device), self.psi, self.cutoff)[:, 0]
        return self.pictures(prior, starts, run.device, chunk_size(run))

    def invert(
        self,
        target: Classifier,
        prior: PriorNetworks,
        identities: Tensor,
        *,
        run: Run,
        auxiliary: Mapping[str, Any] | None = None,
    ) -> Reconstructions:
        """Return (kept, N) reconstructions; see `Attack.invert`."""
        target, prior = inference_copy(target, run.device), inference_prior(prior, run.device)
        check_fit(target, prior, identities, run.device)
        generator = style_generator(prior, self.kind)
        identities = identities.cpu()
        size, noise = chunk_size(run), noise_size(target)
        rows = self.starts * len(identities)
        labels = identities.repeat(self.starts)  # row r * N + i is start r of identity i
        meter = Meter(run.report, self.candidates + rows * (self.iterations + self.rounds))

        def noises(use: str, first: int, stop: int) -> Iterator[Tensor]:
            """Return the head's noise of rows, each with a stream of its own."""
            names = [(row // len(identities), int(labels[row])) for row in range(first, stop)]
            return row_noise([run.stream(self.kind, use, *name) for name in names], noise, run.device)

        starts = best_styles(
            target,
            generator,
            prior.latent_size,
            identities,
            candidates=self.candidates,
            starts=self.starts,
            psi=self.psi,
            cutoff=self.cutoff,
            clip=self.clip_samples,
            seed=run.seed,
            kind=self.kind,
            device=run.device,
            size=size,
            resume=run.resume,
            done=meter.add,
        )

        with torch.no_grad():
            side = generator.view(generator.synthesis(starts[:1].to(run.device))).shape[-1]
        crops = draw_crops(self.iterations, side, self.crop, (1.0, 1.0), run.stream(self.kind, "crops"))

        def search(first: int, stop: int) -> tuple[Tensor, Tensor]:
            def progress(iteration: int, identity_loss: float, prior_loss: float) -> None:
                meter.at(iteration * (stop - first), identity_loss=identity_loss, prior_loss=prior_loss)

            styles, losses = self.descend(
                target,
                prior,
                starts[first:stop].to(run.device),
                labels[first:stop].to(run.device),
                crops,
                side,
                noises("head", first, stop),
                progress,
                resume=run.resume,
                name=f"rows-{first}-{stop}",
            )
            meter.add((stop - first) * self.iterations)
            return styles.cpu(), losses * (stop - first)

        searched = in_chunks(rows, size, search)
        styles = torch.cat([part for part, _ in searched])

        shown = draw_crops(
            self.rounds,
            side,
            self.selection_crop,
            self.selection_ratio,
            run.stream(self.kind, "selection"),
            flips=True,
        )

        def survive(first: int, stop: int) -> Tensor:
            images = picture(generator, styles[first:stop].to(run.device), self.clip)
            own = labels[first:stop].to(run.device)
            return crop_scores(target, images, own, shown, noises("selection", first, stop), side)

        scores = worked(
            rows,
            size,
            survive,
            resume=run.resume,
            name="selection",
            done=lambda count: meter.add(count * self.rounds),
        )
        chosen = best(scores.reshape(self.starts, -1), self.kept)  # (kept, N)
        latents = styles.reshape(self.starts, len(identities), -1)[chosen, torch.arange(len(identities))]
        images = self.pictures(prior, latents.flatten(0, 1), run.device, size)
        return Reconstructions(
            latents=latents,
            images=images.reshape(*chosen.shape, *images.shape[1:]),
            history=history(self.iterations, [losses for _, losses in searched], rows),
        )

    def pictures(self, prior: PriorNetworks, latents: Tensor, device: str = "cpu", size: int = 60) -> Tensor:
        """Return the images of latents (n, W) that `invert` found, uint8 (n, 3, S, S) on the CPU."""
        generator = style_generator(prior, self.kind)

        def work(first: int, stop: int) -> Tensor:
            return to_pixels(picture(generator, latents[first:stop].to(device), self.clip)).cpu()

        with torch.no_grad():
            return torch.cat(in_chunks(len(latents), size, work))

    def descend(
        self,
        target: Classifier,
        prior: PriorNetworks,
        styles: Tensor,
        labels: Tensor,
        crops: Sequence[Crop],
        size: int,
        noise: Iterator[Tensor],
        progress: Progress,
        *,
        resume: Resume | None = None,
        name: str = "rows",
    ) -> tuple[Tensor, Tensor]:
        """Return the last styles and the mean (identity, prior) losses at sampled points, (P, 2).

        styles: (n, W), or (n, L, W) to search every layer's; labels: (n,), both on the device. crops: of what
        targets see, one for each step, resized to `size`; noise: of the target's head, (n, …) for each step.
        """
        generator = style_generator(prior, self.kind)

        def step(state: DescentState, iteration: int, drawn: Tensor) -> tuple[DescentState, Losses]:
            styles = state["styles"].detach().requires_grad_(True)
            whole = generator.synthesis(styles)
            seen = apply_crop(
                generator.view(whole.clamp(0, 1) if self.clip else whole), crops[iteration], size
            )
            with head_noise(target, drawn):
                identity_loss = poincare(target(seen), labels).sum()
            prior_loss = identity_loss.new_zeros([])
            if self.realism_weight:
                prior_loss = functional.softplus(-prior.discriminator(whole)).sum()
            total = (identity_loss + self.realism_weight * prior_loss) / self.group
            (gradient,) = torch.autograd.grad(total, styles)
            moved, first, second = adam_step(
                styles.detach(),
                state["first"],
                state["second"],
                gradient,
                steps=iteration + 1,
                learning_rate=self.learning_rate
                * 0.1 ** sum(iteration >= stone for stone in self.milestones),
                decays=DECAYS,
            )
            after = {"styles": moved, "first": first, "second": second}
            return after, (identity_loss.detach(), prior_loss.detach())

        state = {"styles": styles, "first": torch.zeros_like(styles), "second": torch.zeros_like(styles)}
        state, losses = descend(
            step, state, len(labels), self.iterations, (noise,), progress, resume=resume, name=name
        )
        return state["styles"], losses
