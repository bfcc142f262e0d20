"""PPA: descend in the style space of a StyleGAN2 from the best of many samples; keep what survives crops."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.attacks.base import Passes, Reconstructions, ThreatModel, chunk_size, render
from trainables.attacks.optim.descent import Journal, adam_descend
from trainables.attacks.optim.rows import search_rows
from trainables.attacks.optim.style_pool import DECAYS, best, visible, worked
from trainables.attacks.optim.style_search import StyleSearch, StyleTask
from trainables.attacks.optim.styles import style_generator
from trainables.attacks.pivotal_tuning import PivotalTuning
from trainables.method import length_knob
from trainables.nn.crops import Crop
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import at_least


@dataclass(frozen=True, kw_only=True)
class PPA(StyleSearch):
    """PPA: Struppek et al. 2022, "Plug & Play Attacks"; the defaults are those of its FaceScrub runs.

    From the starts of a `StyleSearch`, whose knobs these are, the Poincaré distance of the target's logits to
    the identity is minimised over one style that all layers share. The latents returned are styles.

    milestones: the learning rate falls to a tenth after these many steps.
    realism_weight: of softplus(-D(whole image)), 0 in all published runs.

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

    milestones: tuple[int, ...] = ()
    realism_weight: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "realism_weight")

    def passes(self) -> Passes:
        """Return what one identity costs."""
        steps = self.starts * self.iterations
        return Passes(
            generator_forward=steps + self.starts + self.kept,
            generator_backward=steps,
            target_forward=self.copies_seen * steps + self.starts * self.rounds,
            target_backward=self.copies_seen * steps,
        )

    def finish(self, task: StyleTask) -> Reconstructions:
        """Return (kept, N) reconstructions; see `StyleSearch.finish`."""
        rows, run, size = task.rows, task.run, chunk_size(task.run)
        generator = style_generator(task.prior, self.kind)

        def search(first: int, stop: int, journal: Journal) -> tuple[Tensor, Tensor]:
            styles, losses = self.descend(
                task.target,
                task.prior,
                task.starts[first:stop].to(run.device),
                rows.own(first, stop),
                task.crops,
                task.side,
                rows.noise("head", first, stop, self.align_draws + task.noise_size),
                journal,
            )
            return styles, losses * (stop - first)

        (styles,), history = search_rows(search, len(rows), size, self.steps, run=run, meter=task.meter)

        def images(styles: Tensor) -> Tensor:
            return visible(generator, generator.synthesis(styles), self.clip)

        scores = worked(
            len(rows),
            size,
            lambda first, stop: task.scores(images(styles[first:stop].to(run.device)), first, stop),
            resume=run.resume,
            name="selection",
            done=lambda count: task.meter.add(count * self.rounds),
        )
        latents = rows.select(styles, best(rows.by_restart(scores), self.kept))
        return Reconstructions(latents=latents, images=render(images, latents, run), history=history)

    def descend(
        self,
        target: Classifier,
        prior: PriorNetworks,
        styles: Tensor,
        labels: Tensor,
        crops: Sequence[Crop],
        size: int,
        noise: Iterator[Tensor],
        journal: Journal,
    ) -> tuple[Tensor, Tensor]:
        """Return the last styles and the mean (identity, prior) losses at sampled points, (P, 2).

        styles: (n, W), or (n, L, W) to search every layer's; labels: (n,), both on the device. crops: of what
        targets see, one for each step, resized to `size`; noise: of the target's head, (n, …) for each step.
        """
        generator = style_generator(prior, self.kind)

        def loss(styles: Tensor, iteration: int, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            images = generator.synthesis(styles)
            view = visible(generator, images, self.clip)
            identity_loss = self.seen(target, crops[iteration], size)(view, labels, drawn).sum()
            prior_loss = identity_loss.new_zeros([])
            if self.realism_weight:
                prior_loss = functional.softplus(-prior.discriminator(images)).sum()
            total = (identity_loss + self.realism_weight * prior_loss) / self.group
            return total, identity_loss, prior_loss

        def rate(iteration: int) -> float:
            return self.learning_rate * 0.1 ** sum(iteration >= stone for stone in self.milestones)

        return adam_descend(
            "styles",
            styles,
            loss,
            self.iterations,
            [noise],
            journal,
            rows=len(labels),
            learning_rate=rate,
            decays=DECAYS,
        )


@dataclass(frozen=True, kw_only=True)
class PPDGPPA(PivotalTuning, PPA):
    """PPDG-MI on PPA: Peng et al. 2024, "Pseudo-Private Data Guided Model Inversion Attacks".

    The knobs are those of `PPA` and `PivotalTuning`; the defaults are those of the released script. PPA's own
    last part says which reconstructions are the best.
    """

    kind: ClassVar[str] = "ppdg_ppa"
    summary: ClassVar[str] = "PPA twice: its best images tune the StyleGAN2 in between, for each identity"
    source: ClassVar[str] = "Peng et al., NeurIPS 2024 (PPDG-MI)"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {
            "candidates": 1000,
            "starts": 8,
            "rounds": 20,
            "kept": 4,
            "points": 4,
            "inversion_steps": 100,
            "tuning_steps": 50,
            "features": "pixels",
        },
    }

    candidates: int = 500
    starts: int = 100
    iterations: int = length_knob(70)
    kept: int = 100
