"""IF-GMI: PPA's descent over styles, then over the features between the blocks of a StyleGAN2."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import Passes, Reconstructions, ThreatModel, chunk_size, to_pixels
from trainables.attacks.optim.descent import DescentState, Journal, Losses, adam_step, descend
from trainables.attacks.optim.l1_ball import project_l1
from trainables.attacks.optim.rows import search_rows
from trainables.attacks.optim.style_pool import DECAYS, best, visible
from trainables.attacks.optim.style_search import StyleSearch, StyleTask
from trainables.attacks.optim.styles import BlockGenerator, block_generator
from trainables.errors import ConfigError
from trainables.nn.crops import Crop
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import at_least

RADII = (1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 8000.0, 8000.0)  # released, the seventh too


@dataclass(frozen=True, kw_only=True)
class IFGMI(StyleSearch):
    """IF-GMI: Qiu et al. 2024, "A Closer Look at GAN Priors"; the defaults are those of its FaceScrub runs.

    Each identity starts from the `starts` of `candidates` samples that PPA would choose. The first stage is
    PPA's: Adam on the Poincaré distance, through a random crop at each step, over one style that all layers
    share. Stage i of the `blocks` that follow starts at block i of the generator (block 0 has 4 x 4 pixels)
    and moves the features which that block gets, (C, s, s), together with the style; Adam begins anew. After
    each step, what features and style have moved since their stage began is projected onto the L1 balls of
    radius ``radii[i]``. The `kept` with the largest mean softmax over `rounds` random crops are returned,
    best first; if all starts are kept, as published, nothing is selected and they come in the order of the
    scores of their starts.

    iterations, block_iterations: steps of the first stage, and of each of the others.
    blocks: how many stages follow the first; at most one less than the generator has blocks. Published 7 of
        the 9 blocks at 1024 pixels.
    keep_picture: start inner stages from the picture that the blocks before have made. The released code
        starts from none, so that what those blocks gave to the colours is lost, and so does the default.
    The other knobs are those of `StyleSearch`.

    As in the released code, the image returned is the one that the last step looked at, so that step moves
    nothing. The latents returned are the last styles alone; the features that make an image with them are up
    to 16.8 MB each in published networks.

    Departures, none of which changes an image: every step has one crop for all images, from a stream of the
    seed (released: one for each batch). The projection is left out where Adam cannot have gone as far as the
    radius: with equal decays a number moves by at most the learning rate per step. The released evaluation
    names the best stage after the judge has seen them all; here it is the last stage.
    """

    kind: ClassVar[str] = "if_gmi"
    summary: ClassVar[str] = "PPA's descent, then over the features between StyleGAN2's blocks in L1 balls"
    source: ClassVar[str] = "Qiu et al., ECCV 2024 (IF-GMI)"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "paper_celeba": {
            "candidates": 5000,
            "iterations": 70,
            "blocks": 4,
            "block_iterations": 25,
            "group": 4,
        },
        "paper_dogs": {"iterations": 100, "blocks": 6, "learning_rate": 0.01, "crop": (0.75, 1.0)},
        "cpu": {"candidates": 1000, "starts": 4, "blocks": 2, "rounds": 20, "kept": 1},
    }

    starts: int = 50
    blocks: int = 7
    block_iterations: int = 10
    radii: tuple[float, ...] = RADII
    keep_picture: bool = False
    group: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "block_iterations")
        at_least(self, 0, "blocks")
        if len(self.radii) <= self.blocks or min(self.radii) <= 0:
            raise ValueError(
                f"radii must be numbers above 0, one for each of the {self.blocks + 1} stages; got "
                f"{list(self.radii)}"
            )

    @property
    def steps(self) -> int:
        """Return the steps of all stages."""
        return self.iterations + self.blocks * self.block_iterations

    @property
    def selects(self) -> bool:
        """Return whether fewer are kept than were started."""
        return self.kept < self.starts

    def stage(self, iteration: int) -> tuple[int, int]:
        """Return the stage of step `iteration`, and its number within the stage, both from 0."""
        if iteration < self.iterations:
            return 0, iteration
        stage, number = divmod(iteration - self.iterations, self.block_iterations)
        return stage + 1, number

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior's generator has enough blocks to start at."""
        depth = block_generator(prior, self.kind).depth
        if self.blocks > depth - 1:
            raise ConfigError(
                f"attack '{self.kind}' expects blocks from 0 to {depth - 1}, as the prior's generator has "
                f"{depth} blocks; got {self.blocks} (attack.blocks); lower it, or choose a prior of larger "
                "images"
            )

    def passes(self) -> Passes:
        """Return what one identity costs.

        An image counts when it goes through the last block, the dearest, wherever it entered: at published
        1024 pixels about a tenth of the generator's work that is counted is skipped. The blocks that take an
        image from one stage to the next, less than one pass per start, are not counted.
        """
        images = self.starts * self.steps
        moved = images - self.starts
        return Passes(
            generator_forward=images + self.starts,
            generator_backward=moved,
            target_forward=self.copies_seen * images + self.starts * self.rounds * self.selects,
            target_backward=self.copies_seen * moved,
        )

    def finish(self, task: StyleTask) -> Reconstructions:
        """Return (kept, N) reconstructions; see `StyleSearch.finish`. history: its ``prior_loss`` is 0."""
        rows, run = task.rows, task.run
        generator = block_generator(task.prior, self.kind)

        def search(first: int, stop: int, journal: Journal) -> list[Tensor]:
            """Return styles, pixels and scores of rows; saved, as the features are too large to keep."""
            name = f"{journal.name}-found"
            ends: DescentState | None = run.resume.read(name)
            if ends is None:
                state, losses = self.descend(
                    task.target,
                    generator,
                    task.starts[first:stop].to(run.device),
                    rows.own(first, stop),
                    task.crops,
                    task.side,
                    rows.noise("head", first, stop, self.align_draws + task.noise_size),
                    journal,
                )
                with torch.no_grad():
                    images = self.look(generator, state)
                    ends = {"styles": state["styles"].cpu(), "pixels": to_pixels(images).cpu()}
                    if self.selects:
                        ends["scores"] = task.scores(images, first, stop).cpu()
                ends["losses"] = losses * (stop - first)
                run.resume.write(name, ends)
                run.resume.write(journal.name, {})  # the state is large, and no longer needed
            return [ends[key] for key in ("styles", "pixels", "scores", "losses") if key in ends]

        beyond = self.rounds * self.selects
        (styles, pixels, *scores), history = search_rows(
            search, len(rows), chunk_size(run), self.steps, run=run, meter=task.meter, beyond=beyond
        )
        if scores:
            chosen = best(rows.by_restart(scores[0]), self.kept)  # (kept, N)
            return Reconstructions(
                latents=rows.select(styles, chosen), images=rows.select(pixels, chosen), history=history
            )
        return Reconstructions(
            latents=rows.by_restart(styles), images=rows.by_restart(pixels), history=history
        )

    def look(self, generator: BlockGenerator, state: DescentState) -> Tensor:
        """Return what targets see of the last images of `descend`, (n, 3, S, S), clipped if `clip` is set."""
        features, picture = between(state)
        images = generator.finish(state["styles"], self.blocks, features, picture)
        return visible(generator, images, self.clip)

    def descend(
        self,
        target: Classifier,
        generator: BlockGenerator,
        styles: Tensor,
        labels: Tensor,
        crops: Sequence[Crop],
        size: int,
        noise: Iterator[Tensor],
        journal: Journal,
    ) -> tuple[DescentState, Tensor]:
        """Return the last state, and the mean losses at sampled points (P, 2).

        The state holds ``styles`` (n, W), and what goes into block `blocks`: ``features`` (n, C, s, s) and
        ``picture`` (n, 3, s, s), both (n, 0) where there are none.
        styles: (n, W), labels: (n,), all on the device. crops: of what targets see, one for each step,
        resized to `size`; noise: of the target's head, (n, …) for each step.
        """

        def step(state: DescentState, iteration: int, drawn: Tensor) -> tuple[DescentState, Losses]:
            stage, number = self.stage(iteration)
            if stage and number == 0:
                state = self._enter(generator, state, stage)
            moving = ("styles", "features") if stage else ("styles",)
            last = iteration == self.steps - 1
            leaves = {key: state[key].detach().requires_grad_(not last) for key in moving}
            features, picture = between(state | leaves)
            images = generator.finish(leaves["styles"], stage, features, picture)
            view = visible(generator, images, self.clip)
            loss = self.seen(target, crops[iteration], size)(view, labels, drawn).sum()
            losses = loss.detach(), loss.new_zeros([])
            if last:
                return state, losses
            gradients = torch.autograd.grad(loss / self.group, list(leaves.values()))
            after = dict(state)
            for key, gradient in zip(moving, gradients, strict=True):
                moved, after[f"{key}: first"], after[f"{key}: second"] = adam_step(
                    leaves[key].detach(),
                    state[f"{key}: first"],
                    state[f"{key}: second"],
                    gradient,
                    steps=number + 1,
                    learning_rate=self.learning_rate,
                    decays=DECAYS,
                )
                after[key] = self._held(moved, state[f"{key}: start"], self.radii[stage], number + 1)
            return after, losses

        none = styles.new_zeros(len(styles), 0)
        begin = {**_fresh("styles", styles), **_fresh("features", none), "picture": none}
        return descend(step, begin, len(labels), self.steps, (noise,), journal)

    def _enter(self, generator: BlockGenerator, state: DescentState, stage: int) -> DescentState:
        """Return the state that `stage`, 1 or more, begins with."""
        with torch.no_grad():
            features, picture = generator.advance(state["styles"], stage - 1, *between(state))
        if not self.keep_picture:
            picture = picture.new_zeros(len(picture), 0)
        return {**_fresh("styles", state["styles"]), **_fresh("features", features), "picture": picture}

    def _held(self, moved: Tensor, start: Tensor, radius: float, steps: int) -> Tensor:
        """Return `moved` (n, …), after `steps` steps, cut to the L1 ball of `radius` around `start`."""
        farthest = steps * self.learning_rate * start[0].numel()
        if farthest * 1.001 < radius:  # Adam's steps are at most the rate: no need to look
            return moved
        return start + project_l1((moved - start).flatten(1), radius).reshape(start.shape)


def between(state: DescentState) -> tuple[Tensor | None, Tensor | None]:
    """Return the features and the picture of a state, None where there are none."""
    features, picture = state["features"], state["picture"]
    return features if features.numel() else None, picture if picture.numel() else None


def _fresh(name: str, values: Tensor) -> DescentState:
    """Return the state of a variable at the start of a stage."""
    zeros = torch.zeros_like(values)
    return {name: values, f"{name}: start": values, f"{name}: first": zeros, f"{name}: second": zeros}
