"""MIRROR: descend in the style space of a StyleGAN, kept where its mapping network goes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.attacks.base import (
    Learnt,
    Passes,
    Reconstructions,
    ThreatModel,
    all_chunks,
    chunk_size,
    render,
)
from trainables.attacks.optim.alignment import AlignedAttack
from trainables.attacks.optim.descent import (
    DescentState,
    Journal,
    Losses,
    adam_start,
    adam_update,
    descend,
    guided,
    ramp,
)
from trainables.attacks.optim.pool_search import PoolSearch
from trainables.attacks.optim.rows import Meter, Rows, search_rows
from trainables.attacks.optim.style_pool import best, style_bounds
from trainables.attacks.optim.styles import StyleGenerator, style_generator
from trainables.method import length_knob
from trainables.nn.identity_losses import cross_entropy
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run

WORST = 1e30  # a loss above any other, and finite
RUNNERS_UP = 5  # labels of an image that the choice among starts looks at
SHARED = 2  # how many of them images of one person share


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
class Mirror(AlignedAttack, PoolSearch):
    """MIRROR: An et al. 2022, white-box, on a StyleGAN2; the defaults are those of the released script.

    Each identity starts from the `starts` samples of a pool with the highest confidence. Their styles
    minimise the cross-entropy, and after each step are cut to where the mapping network puts styles: mean
    plus and minus `spread` standard deviations of the pool before the last leaky ReLU ("P space").
    Of all steps the styles after the one whose loss, a mean over the identity's starts, was lowest are kept,
    and of these the start that `choose` picks.

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

    starts: int = 8
    iterations: int = length_knob(20_000)
    learning_rate: float = 0.25
    loss_weight: float = 10.0
    flips: bool = True
    choice: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_alignment()
        at_least(self, 1, "starts", "iterations")
        above(self, 0, "learning_rate", "spread", "loss_weight")
        if self.starts > self.pool:
            raise ValueError(f"starts must be at most pool, {self.pool}; got {self.starts}")

    @property
    def restarts(self) -> int:
        """Return how many starts are returned: the chosen one or all."""
        return 1 if self.choice else self.starts

    def passes(self) -> Passes:
        """Return what one identity costs."""
        steps = self.starts * self.iterations
        chosen_from = self.starts if self.choice else 0
        return Passes(
            generator_forward=steps + chosen_from + self.restarts,
            generator_backward=steps,
            target_forward=self.copies_seen * steps + chosen_from,
            target_backward=self.copies_seen * steps,
        )

    def reconstruct(
        self, target: Classifier, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (1 or starts, N) reconstructions; see `Attack.reconstruct`."""
        generator = style_generator(prior, self.kind)
        size, noise, count = chunk_size(run), target.noise_size, len(identities)
        rows = self.starts * count
        meter = Meter(run.report, self.pool + rows * self.iterations)

        def confidences(images: Tensor, noise: Tensor) -> Tensor:
            with head_noise(target, noise):
                confidences: Tensor = target(images).softmax(1)
            return confidences

        pool, scores = self.rated_pool(confidences, noise, prior, identities, run, meter.add)
        low, high = (bound.to(run.device) for bound in style_bounds(pool, self.spread))
        starts = pool[best(scores, self.starts)]  # (starts, N, W)
        coins = torch.rand(self.iterations, generator=run.stream(self.kind, "coins"))
        flipped = ((coins > 0.5) & self.flips).tolist()

        def search(begin: int, end: int, journal: Journal) -> tuple[Tensor, Tensor]:
            """Return the styles (starts, n, W) of whole identities, each `starts` rows, with n first."""
            first, stop = begin // self.starts, end // self.starts
            own = Rows(self.kind, identities[first:stop], self.starts, run)
            styles, losses = self.descend(
                target,
                generator,
                starts[:, first:stop].flatten(0, 1).to(run.device),
                own.own(0, len(own)),
                low,
                high,
                flipped,
                own.noise("head", 0, len(own), self.align_draws + noise),
                journal,
                size=size,
            )
            return own.by_restart(styles).transpose(0, 1), losses * len(own)

        (ends,), history = search_rows(
            search, rows, size, self.iterations, run=run, group=self.starts, name="identities", meter=meter
        )
        styles = ends.transpose(0, 1).contiguous()  # (starts, N, W)
        if self.choice:
            styles = self._chosen(target, generator, styles, identities, run)
        images = render(lambda styles: self.images(generator, styles), styles, run)
        return Reconstructions(latents=styles, images=images, history=history)

    def _chosen(
        self, target: Classifier, generator: StyleGenerator, styles: Tensor, identities: Tensor, run: Run
    ) -> Tensor:
        """Return, of styles (starts, N, W), those of the starts that `choose` picks, (1, N, W)."""
        rows, ends = Rows(self.kind, identities, self.starts, run), styles.flatten(0, 1)

        def work(first: int, stop: int) -> Tensor:
            noise = next(rows.noise("choice", first, stop, target.noise_size))
            images = self.images(generator, ends[first:stop].to(run.device))
            with head_noise(target, noise):
                logits: Tensor = target(images)
            return logits

        logits = rows.by_restart(all_chunks(len(rows), chunk_size(run), work))
        picks = [choose(logits[:, i], label) for i, label in enumerate(identities.tolist())]
        return rows.select(ends, torch.tensor(picks)[None])

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
        journal: Journal,
        *,
        size: int,
    ) -> tuple[Tensor, Tensor]:
        """Return the styles after each identity's best step, and the mean losses at sampled points, (P, 2).

        styles: (starts * n, W), row r * n + i being start r of identity i; labels: their own. low, high:
        bounds of styles, (W,). flipped: whether the target sees mirror images, for each step. noise: of its
        head.
        size: how many images are worked on at once; a step of more takes them one after the other.
        """
        rows, group = len(labels), len(labels) // self.starts
        plain = guided(target, cross_entropy)
        guides = [
            self.aligned(guide)
            for guide in (plain, lambda images, labels, noise: plain(images.flip(3), labels, noise))
        ]

        def step(state: DescentState, iteration: int, drawn: Tensor) -> tuple[DescentState, Losses]:
            gradients: list[Tensor] = []
            losses: list[Tensor] = []
            for at in (slice(begin, begin + size) for begin in range(0, rows, size)):
                part = state["styles"][at].detach().requires_grad_(True)
                loss = guides[flipped[iteration]](self.images(generator, part), labels[at], drawn[at])
                gradients += torch.autograd.grad(loss.sum() * (self.loss_weight / self.starts), part)
                losses.append(loss.detach())
            loss = torch.cat(losses)
            adam = {key: state[key] for key in ("styles", "first", "second")}
            rate = ramp(self.learning_rate, iteration + 1, self.iterations)
            after = adam_update(adam, torch.cat(gradients), steps=iteration + 1, learning_rate=rate)
            moved = torch.minimum(torch.maximum(after["styles"], low), high)
            mean = loss.reshape(self.starts, group).mean(0)
            better = mean < state["lowest"]  # the loss before the step decides, what comes after it is kept
            after |= {
                "styles": moved,
                "lowest": torch.where(better, mean, state["lowest"]),
                "best": torch.where(better.repeat(self.starts)[:, None], moved, state["best"]),
            }
            return after, (loss.sum(), loss.new_zeros([]))

        start = adam_start("styles", styles)
        start |= {"lowest": styles.new_full((group,), WORST), "best": styles}
        state, losses = descend(step, start, rows, self.iterations, (noise,), journal)
        return state["best"], losses
