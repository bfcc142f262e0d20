"""The frame of PPA and IF-GMI: select starts from a pool, descend, keep what survives crops. No attack."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import Learnt, Passes, Reconstructions, chunk_size, render
from trainables.attacks.optim.alignment import AlignedAttack
from trainables.attacks.optim.descent import Guide, guided
from trainables.attacks.optim.rows import Meter, Rows
from trainables.attacks.optim.style_pool import (
    best,
    crop_scores,
    mirrored_scores,
    sample_styles,
    visible,
    worked,
)
from trainables.attacks.optim.styles import StyleGenerator, style_generator
from trainables.method import length_knob
from trainables.nn.crops import Crop, apply_crop, draw_crops
from trainables.nn.identity_losses import poincare
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import row_noise


@dataclass(frozen=True)
class StyleTask:
    """One run of a `StyleSearch`: its rows, where they start, and how they are seen.

    starts: styles (R * N, W), on the CPU.  side: of what targets see, in pixels.
    crops: of the steps, one for each; selection: of the choice among the rows' ends.
    noise_size: of the target's head.
    """

    target: Classifier
    prior: PriorNetworks
    rows: Rows
    starts: Tensor
    side: int
    crops: list[Crop]
    selection: list[Crop]
    noise_size: int
    meter: Meter
    run: Run

    def scores(self, images: Tensor, first: int, stop: int) -> Tensor:
        """Return how sure the target is, over the crops, of images (n, 3, S, S) of rows `first` to `stop`."""
        noise = self.rows.noise("selection", first, stop, self.noise_size)
        return crop_scores(self.target, images, self.rows.own(first, stop), self.selection, noise, self.side)


@dataclass(frozen=True, kw_only=True)
class StyleSearch(AlignedAttack):
    """Knobs of the frame, with PPA's defaults.

    Of `candidates` samples, one pool for all identities, each identity gets the `starts` with the largest
    mean softmax over the image and its mirror image. From each of them a descent leads, through a random crop
    at each step. Last the `kept` with the largest mean softmax over `rounds` random crops are returned, best
    first.

    psi, cutoff: truncation of the samples, and in how many layers; the search starts from the first layer's.
    iterations, learning_rate: of Adam with decays 0.1 and 0.1.
    crop: least and largest share of the image that a step's crop shows.
    selection_crop, selection_ratio: the same, and width over height, in the last part; half are mirrored.
    clip_samples, clip: whether images are cut to [0, 1] before the target sees them, in the first part and
        later. An image that is returned always is, and has 8 bits.
    group: how many images the published loop averages its loss over; only Adam's epsilon feels it.
    """

    candidates: int = 2000
    psi: float = 0.5
    cutoff: int = 8
    clip_samples: bool = True
    starts: int = 200
    iterations: int = length_knob(50)
    learning_rate: float = 0.005
    crop: tuple[float, float] = (0.9, 1.0)
    clip: bool = False
    group: int = 25
    rounds: int = 100
    selection_crop: tuple[float, float] = (0.5, 0.9)
    selection_ratio: tuple[float, float] = (0.8, 1.2)
    kept: int = 50

    def __post_init__(self) -> None:
        at_least(self, 1, "candidates", "starts", "iterations", "group", "rounds", "kept", "cutoff")
        at_least(self, 0, "psi")
        above(self, 0, "learning_rate")
        self.check_alignment()
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

    @property
    def restarts(self) -> int:
        """Return how many ends of descents are chosen."""
        return self.kept

    @property
    def steps(self) -> int:
        """Return how many steps a descent has."""
        return self.iterations

    @property
    def selects(self) -> bool:
        """Return whether the rows' ends are scored over crops."""
        return True

    def shared_passes(self) -> Passes:
        """Return what the candidates cost, each seen as it is and mirrored."""
        return Passes(generator_forward=self.candidates, target_forward=2 * self.candidates)

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior has a style space."""
        style_generator(prior, self.kind)

    def seen(self, target: Classifier, crop: Crop, size: int) -> Guide:
        """Return the Poincaré distance of images (n, 3, S, S) through a step's crop, resized to `size`."""
        guide = guided(target, poincare)
        return self.aligned(
            lambda images, labels, noise: guide(apply_crop(images, crop, size), labels, noise)
        )

    def finish(self, task: StyleTask) -> Reconstructions:
        """Return the reconstructions: descents from the starts of `task`, and the choice among their ends."""
        raise NotImplementedError

    def unguided(self, prior: PriorNetworks, count: int, *, run: Run) -> Tensor:
        """Return the pictures of random samples, as descents start; see `Attack.unguided`."""
        generator = style_generator(prior, self.kind)
        styles = sample_styles(generator, prior.latent_size, count, kind="unguided", run=run)

        def images(some: Tensor) -> Tensor:
            cut = generator.truncate(some, self.psi, self.cutoff)[:, 0]
            return visible(generator, generator.synthesis(cut), self.clip)

        return render(images, styles, run)

    def reconstruct(
        self, target: Classifier, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (kept, N) reconstructions; see `Attack.reconstruct`."""
        generator = style_generator(prior, self.kind)
        rows = Rows(self.kind, identities, self.starts, run)
        meter = Meter(run.report, self.candidates + len(rows) * (self.steps + self.rounds * self.selects))
        starts = self.select_starts(target, prior, identities, run, meter.add)
        with torch.no_grad():
            side = generator.view(generator.synthesis(starts[:1].to(run.device))).shape[-1]
        crops = draw_crops(self.steps, side, self.crop, (1.0, 1.0), run.stream(self.kind, "crops"))
        selection = draw_crops(
            self.rounds,
            side,
            self.selection_crop,
            self.selection_ratio,
            run.stream(self.kind, "selection"),
            flips=True,
        )
        noise = target.noise_size
        return self.finish(StyleTask(target, prior, rows, starts, side, crops, selection, noise, meter, run))

    def select_starts(
        self,
        target: Classifier,
        prior: PriorNetworks,
        identities: Tensor,
        run: Run,
        done: Callable[[int], None],
    ) -> Tensor:
        """Return the starts of each of the identities (N,), float32 (starts * N, W), on the CPU.

        Row r * N + i is the sample of `candidates` with the r-th largest `mirrored_scores` of identity i; of
        its styles, truncated, that of the first layer. ``done(count)`` is called as `worked` does.
        """
        generator: StyleGenerator = style_generator(prior, self.kind)
        pool = sample_styles(generator, prior.latent_size, self.candidates, kind=self.kind, run=run)
        noise = target.noise_size

        def rate(first: int, stop: int) -> Tensor:
            styles = generator.truncate(pool[first:stop].to(run.device), self.psi, self.cutoff)
            streams = [run.stream(self.kind, "pool", row) for row in range(first, stop)]
            images = visible(generator, generator.synthesis(styles), self.clip_samples)
            scores = mirrored_scores(target, images, row_noise(streams, noise, run.device))
            return scores[:, identities.to(run.device)]

        scores = worked(self.candidates, chunk_size(run), rate, resume=run.resume, name="pool", done=done)
        chosen = pool[best(scores, self.starts).flatten()]
        return generator.truncate(chosen.to(run.device), self.psi, self.cutoff)[:, 0].cpu()
