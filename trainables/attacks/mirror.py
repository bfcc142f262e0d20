"""MIRROR: descend in the style space of a StyleGAN, kept where its mapping network goes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

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
from trainables.attacks.optim.style_pool import Meter, best, sample_styles, style_bounds, worked
from trainables.attacks.optim.styles import StyleGenerator, style_generator
from trainables.method import length_knob
from trainables.nn.identity_losses import cross_entropy
from trainables.nn.inference import inference_copy
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import stream
from trainables.storage.resume import Resume

WORST = 1e30  # a loss above any other, and finite
RUNNERS_UP = 5  # labels of an image that the choice among starts looks at
SHARED = 2  # how many of them images of one person share


def ramp(peak: float, done: int, total: int) -> float:
    """Return the learning rate of step `done`, from 1 to `total`: up for 5 %, down over the last 25 %.

    peak min(1, t / 0.05) (1/2 - 1/2 cos(pi min(1, (1 - t) / 0.25))), t = done / total (released code).
    """
    t = done / total
    return peak * min(1.0, t / 0.05) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25)))


def choose(logits: Tensor, label: int) -> int:
    """Return which of the images with logits (R, K) to keep for `label` (released code).

    Images of one person are taken to share runners-up: of the largest sets of images that have two labels
    beside `label` in common among their top five, the one with the highest confidence; of that, the most
    confident image. With fewer than three classes, simply the most confident.
    """
    confidence = logits.softmax(1)[:, label]
    near = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    near.scatter_(1, logits.topk(min(RUNNERS_UP, logits.shape[1]), dim=1).indices, True)
    near[:, label] = False
    seen = near.any(0).nonzero().flatten()
    if len(seen) < SHARED:
        return int(confidence.argmax())
    near = near[:, seen].float()
    together = (near.T @ near).fill_diagonal_(0)  # how many images have both labels
    group = near.T[:, None] * near.T[None, :]  # (L, L, R): whether image r has both
    highest = torch.where(group > 0, confidence, -1.0).amax(2)
    pair = torch.where(together == together.max(), highest, -1.0).argmax()
    members = group.flatten(0, 1)[pair]
    return int(torch.where(members > 0, confidence, -1.0).argmax())


@dataclass(frozen=True, kw_only=True)
class Mirror(Attack):
    """MIRROR: An et al. 2022, white-box, on a StyleGAN2; the defaults are those of the released script.

    Each identity starts from the `starts` samples of a pool with the highest confidence. Their styles
    minimise the cross-entropy, and after each step are cut to where the mapping network puts styles: mean
    plus and minus `spread` standard deviations of the pool before the last leaky ReLU ("P space").
    Of all steps the styles after the one whose loss, a mean over the identity's starts, was lowest are kept,
    and of these the start that `choose` picks.

    pool: samples, shared by all identities; released code has 100,000.
    psi, cutoff: truncation of all images, and in how many layers. The latents searched and returned are
        styles before the truncation.
    iterations, learning_rate: of Adam, the rate being the peak of `ramp`.
    loss_weight: of the cross-entropy; only Adam's epsilon feels it.
    flips: with probability 1/2, a step sees all images mirrored. All steps share the coins of one stream, so
        that results do not depend on how images are batched.
    choice: return the chosen start alone, or all.

    The released code attacks StyleGAN1 at 256 pixels, and leaves dropout on in one of its targets; here the
    target is in eval mode. Images are not clipped during the search; those returned are, and have 8 bits.
    """

    kind: ClassVar[str] = "mirror"
    summary: ClassVar[str] = "cross-entropy descent over StyleGAN2 styles, clipped to the usual ones"
    source: ClassVar[str] = "An et al., NDSS 2022 (MIRROR)"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {"pool": 1000, "starts": 4, "iterations": 100},
    }

    pool: int = 100_000
    psi: float = 0.7
    cutoff: int = 8
    starts: int = 8
    iterations: int = length_knob(20_000)
    learning_rate: float = 0.25
    spread: float = 1.0
    loss_weight: float = 10.0
    flips: bool = True
    choice: bool = True

    def __post_init__(self) -> None:
        at_least(self, 1, "pool", "starts", "iterations", "cutoff")
        at_least(self, 0, "psi")
        above(self, 0, "learning_rate", "spread", "loss_weight")
        if self.starts > self.pool:
            raise ValueError(f"starts must be at most pool, {self.pool}; got {self.starts}")

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior has a style space."""
        style_generator(prior, self.kind)

    def passes(self) -> Passes:
        """Return what one identity costs, without the pool, which all identities share."""
        steps = self.starts * self.iterations
        return Passes(
            generator_forward=steps + 2 * self.starts,
            generator_backward=steps,
            target_forward=steps + self.starts,
            target_backward=steps,
        )

    def unguided(self, prior: PriorNetworks, count: int, *, run: Run) -> Tensor:
        """Return the pictures of random samples of the pool; see `Attack.unguided`."""
        generator = style_generator(prior, self.kind)
        styles = sample_styles(
            generator, prior.latent_size, count, seed=run.seed, kind="unguided", device=run.device
        )
        low, high = style_bounds(styles, self.spread)
        bounded = torch.minimum(torch.maximum(styles, low), high)
        return self.pictures(prior, bounded, run.device, chunk_size(run))

    def invert(
        self,
        target: Classifier,
        prior: PriorNetworks,
        identities: Tensor,
        *,
        run: Run,
        auxiliary: Mapping[str, Any] | None = None,
    ) -> Reconstructions:
        """Return (1 or starts, N) reconstructions; see `Attack.invert`."""
        target, prior = inference_copy(target, run.device), inference_prior(prior, run.device)
        check_fit(target, prior, identities, run.device)
        generator = style_generator(prior, self.kind)
        identities = identities.cpu()
        size, noise, count = chunk_size(run), noise_size(target), len(identities)
        meter = Meter(run.report, self.pool + self.starts * count * self.iterations)

        pool = sample_styles(
            generator, prior.latent_size, self.pool, seed=run.seed, kind=self.kind, device=run.device
        )
        low, high = (bound.to(run.device) for bound in style_bounds(pool, self.spread))

        def rate(first: int, stop: int) -> Tensor:
            streams = [run.stream(self.kind, "pool head", row) for row in range(first, stop)]
            images = self.images(generator, pool[first:stop].to(run.device))
            with head_noise(target, next(row_noise(streams, noise, run.device))):
                scores: Tensor = target(images).softmax(1)
            return scores[:, identities.to(run.device)]

        scores = worked(self.pool, size, rate, resume=run.resume, name="pool", done=meter.add)
        starts = pool[best(scores, self.starts)]  # (starts, N, W)
        coins = torch.rand(self.iterations, generator=run.stream(self.kind, "coins"))
        flipped = ((coins > 0.5) & self.flips).tolist()

        def search(first: int, stop: int) -> tuple[Tensor, Tensor]:
            """Return the styles (starts, n, W) that identities `first` to `stop` end with, and losses."""
            rows = self.starts * (stop - first)

            def progress(iteration: int, identity_loss: float, prior_loss: float) -> None:
                meter.at(iteration * rows, identity_loss=identity_loss, prior_loss=prior_loss)

            labels = identities[first:stop].repeat(self.starts)
            streams = [
                run.stream(self.kind, "head", row // (stop - first), int(labels[row])) for row in range(rows)
            ]
            styles, losses = self.descend(
                target,
                generator,
                starts[:, first:stop].flatten(0, 1).to(run.device),
                labels.to(run.device),
                low,
                high,
                flipped,
                row_noise(streams, noise, run.device),
                progress,
                size=size,
                resume=run.resume,
                name=f"identities-{first}-{stop}",
            )
            meter.add(rows * self.iterations)
            return styles.cpu().reshape(self.starts, stop - first, -1), losses * rows

        at_once = max(1, size // self.starts)
        searched = in_chunks(count, at_once, search)
        styles = torch.cat([part for part, _ in searched], dim=1)
        if self.choice:
            styles = self._chosen(target, generator, styles, identities, run.seed, run.device, size)
        images = self.pictures(prior, styles.flatten(0, 1), run.device, size)
        return Reconstructions(
            latents=styles,
            images=images.reshape(*styles.shape[:2], *images.shape[1:]),
            history=history(self.iterations, [losses for _, losses in searched], self.starts * count),
        )

    def images(self, generator: StyleGenerator, styles: Tensor) -> Tensor:
        """Return what targets see of styles (n, W), (n, 3, S, S), not clipped."""
        return generator.view(generator.synthesis(generator.truncate(styles, self.psi, self.cutoff)))

    def pictures(self, prior: PriorNetworks, latents: Tensor, device: str = "cpu", size: int = 60) -> Tensor:
        """Return the images of latents (n, W) that `invert` found, uint8 (n, 3, S, S) on the CPU."""
        generator = style_generator(prior, self.kind)

        def work(first: int, stop: int) -> Tensor:
            return to_pixels(self.images(generator, latents[first:stop].to(device))).cpu()

        with torch.no_grad():
            return torch.cat(in_chunks(len(latents), size, work))

    def _chosen(
        self,
        target: Classifier,
        generator: StyleGenerator,
        styles: Tensor,
        identities: Tensor,
        seed: int,
        device: str,
        size: int,
    ) -> Tensor:
        """Return, of styles (starts, N, W), those of the starts that `choose` picks, (1, N, W)."""
        rows, count = styles.flatten(0, 1), len(identities)

        def work(first: int, stop: int) -> Tensor:
            streams = [
                stream(seed, self.kind, "choice", row // count, int(identities[row % count]))
                for row in range(first, stop)
            ]
            images = self.images(generator, rows[first:stop].to(device))
            with head_noise(target, next(row_noise(streams, noise_size(target), device))):
                logits: Tensor = target(images)
            return logits.cpu()

        with torch.no_grad():
            logits = torch.cat(in_chunks(len(rows), size, work)).reshape(self.starts, count, -1)
        picks = [choose(logits[:, i], label) for i, label in enumerate(identities.tolist())]
        return styles[torch.tensor(picks), torch.arange(count)][None]

    def descend(
        self,
        target: Classifier,
        generator: StyleGenerator,
        styles: Tensor,
        labels: Tensor,
        low: Tensor,
        high: Tensor,
        flipped: Sequence[bool],
        noise: Iterator[Tensor],
        progress: Progress,
        *,
        size: int,
        resume: Resume | None = None,
        name: str = "rows",
    ) -> tuple[Tensor, Tensor]:
        """Return the styles after each identity's best step, and the mean losses at sampled points, (P, 2).

        styles: (starts * n, W), row r * n + i being start r of identity i; labels: their own. low, high:
        bounds of styles, (W,). flipped: whether the target sees mirror images, for each step. noise: of its
        head.
        size: how many images are worked on at once; a step of more takes them one after the other.
        """
        rows, group = len(labels), len(labels) // self.starts

        def step(state: DescentState, iteration: int, drawn: Tensor) -> tuple[DescentState, Losses]:
            gradients: list[Tensor] = []
            losses: list[Tensor] = []
            for at in (slice(begin, begin + size) for begin in range(0, rows, size)):
                some = state["styles"][at].detach().requires_grad_(True)
                images = self.images(generator, some)
                with head_noise(target, drawn[at]):
                    logits = target(images.flip(3) if flipped[iteration] else images)
                loss = cross_entropy(logits, labels[at])
                gradients += torch.autograd.grad(loss.sum() * (self.loss_weight / self.starts), some)
                losses.append(loss.detach())
            loss = torch.cat(losses)
            moved, first, second = adam_step(
                state["styles"],
                state["first"],
                state["second"],
                torch.cat(gradients),
                steps=iteration + 1,
                learning_rate=ramp(self.learning_rate, iteration + 1, self.iterations),
            )
            moved = torch.minimum(torch.maximum(moved, low), high)
            mean = loss.reshape(self.starts, group).mean(0)
            better = mean < state["lowest"]  # the loss before the step decides, what comes after it is kept
            after = {
                "styles": moved,
                "first": first,
                "second": second,
                "lowest": torch.where(better, mean, state["lowest"]),
                "best": torch.where(better.repeat(self.starts)[:, None], moved, state["best"]),
            }
            return after, (loss.sum(), loss.new_zeros([]))

        state = {
            "styles": styles,
            "first": torch.zeros_like(styles),
            "second": torch.zeros_like(styles),
            "lowest": styles.new_full((group,), WORST),
            "best": styles,
        }
        state, losses = descend(
            step, state, rows, self.iterations, (noise,), progress, resume=resume, name=name
        )
        return state["best"], losses
