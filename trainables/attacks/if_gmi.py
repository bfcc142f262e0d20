"""IF-GMI: PPA's descent over styles, then over the features between the blocks of a StyleGAN2."""

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
from trainables.attacks.optim.l1_ball import project_l1
from trainables.attacks.optim.style_pool import (
    DECAYS,
    Meter,
    best,
    best_styles,
    crop_scores,
    picture,
    sample_styles,
)
from trainables.attacks.optim.styles import BlockGenerator, block_generator
from trainables.errors import ConfigError
from trainables.method import length_knob
from trainables.nn.crops import Crop, apply_crop, draw_crops
from trainables.nn.identity_losses import poincare
from trainables.nn.inference import inference_copy
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.storage.resume import Resume

RADII = (1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 8000.0, 8000.0)  # released, the seventh too


@dataclass(frozen=True, kw_only=True)
class IFGMI(Attack):
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
    candidates, psi, cutoff, clip_samples, learning_rate, crop, clip: as in PPA, as are selection_crop and
        selection_ratio.
    group: how many images the published loop averages its loss over; only Adam's epsilon feels it.

    As in the released code, the image returned is the one that the last step looked at, so that step moves
    nothing. The latents returned are the last styles alone; the features that make an image with them are up
    to 16.8 MB each in published networks.

    Departures, none of which changes an image that is found: every step has one crop for all images, from a
    stream of the seed (released: one for each batch). The projection is left out where Adam cannot have gone
    as far as the radius: with equal decays a number moves by at most the learning rate per step. The released
    evaluation names the best stage after the judge has seen them all; here it is the last stage.
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

    candidates: int = 2000
    psi: float = 0.5
    cutoff: int = 8
    clip_samples: bool = True
    starts: int = 50
    iterations: int = length_knob(50)
    blocks: int = 7
    block_iterations: int = 10
    radii: tuple[float, ...] = RADII
    keep_picture: bool = False
    learning_rate: float = 0.005
    crop: tuple[float, float] = (0.9, 1.0)
    clip: bool = False
    group: int = 5
    rounds: int = 100
    selection_crop: tuple[float, float] = (0.5, 0.9)
    selection_ratio: tuple[float, float] = (0.8, 1.2)
    kept: int = 50

    def __post_init__(self) -> None:
        at_least(self, 1, "candidates", "starts", "iterations", "block_iterations", "group", "rounds", "kept")
        at_least(self, 1, "cutoff")
        at_least(self, 0, "psi", "blocks")
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
        if len(self.radii) <= self.blocks or min(self.radii) <= 0:
            raise ValueError(
                f"radii must be numbers above 0, one for each of the {self.blocks + 1} stages; got "
                f"{list(self.radii)}"
            )

    @property
    def steps(self) -> int:
        """Return the steps of all stages."""
        return self.iterations + self.blocks * self.block_iterations

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
        """Return what one identity costs, without the pool of candidates, which all identities share.

        An image counts when it goes through the last block, the dearest, wherever it entered: at published
        1024 pixels about a tenth of the generator's work that is counted is skipped. The blocks that take an
        image from one stage to the next, less than one pass per start, are not counted.
        """
        looked = self.starts * self.steps
        moved = looked - self.starts
        return Passes(
            generator_forward=looked + self.starts,
            generator_backward=moved,
            target_forward=looked + (self.starts * self.rounds if self.kept < self.starts else 0),
            target_backward=moved,
        )

    def unguided(self, prior: PriorNetworks, count: int, *, run: Run) -> Tensor:
        """Return the pictures of random samples, as the first stage starts; see `Attack.unguided`."""
        generator = block_generator(prior, self.kind)
        styles = sample_styles(
            generator, prior.latent_size, count, seed=run.seed, kind="unguided", device=run.device
        )

        def work(first: int, stop: int) -> Tensor:
            starts = generator.truncate(styles[first:stop].to(run.device), self.psi, self.cutoff)[:, 0]
            return to_pixels(picture(generator, starts, self.clip)).cpu()

        with torch.no_grad():
            return torch.cat(in_chunks(count, chunk_size(run), work))

    def invert(
        self,
        target: Classifier,
        prior: PriorNetworks,
        identities: Tensor,
        *,
        run: Run,
        auxiliary: Mapping[str, Any] | None = None,
    ) -> Reconstructions:
        """Return (kept, N) reconstructions; see `Attack.invert`. history: its ``prior_loss`` is 0."""
        target, prior = inference_copy(target, run.device), inference_prior(prior, run.device)
        check_fit(target, prior, identities, run.device)
        self.check_prior(prior)
        generator = block_generator(prior, self.kind)
        identities = identities.cpu()
        size, noise, selects = chunk_size(run), noise_size(target), self.kept < self.starts
        rows = self.starts * len(identities)
        labels = identities.repeat(self.starts)  # row r * N + i is start r of identity i
        meter = Meter(run.report, self.candidates + rows * (self.steps + self.rounds * selects))

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
        crops = draw_crops(self.steps, side, self.crop, (1.0, 1.0), run.stream(self.kind, "crops"))
        shown = draw_crops(
            self.rounds,
            side,
            self.selection_crop,
            self.selection_ratio,
            run.stream(self.kind, "selection"),
            flips=True,
        )

        def search(first: int, stop: int) -> DescentState:
            """Return styles, pixels, scores and losses of rows; kept, as features are too large to keep."""

            def progress(iteration: int, identity_loss: float, prior_loss: float) -> None:
                meter.at(iteration * (stop - first), identity_loss=identity_loss)

            name = f"rows-{first}-{stop}"
            found: DescentState | None = run.resume.read(f"{name}-found")
            if found is None:
                own = labels[first:stop].to(run.device)
                state, losses = self.descend(
                    target,
                    generator,
                    starts[first:stop].to(run.device),
                    own,
                    crops,
                    side,
                    noises("head", first, stop),
                    progress,
                    resume=run.resume,
                    name=name,
                )
                with torch.no_grad():
                    images = self.look(generator, state)
                    found = {
                        "styles": state["styles"].cpu(),
                        "pixels": to_pixels(images).cpu(),
                        "losses": losses * (stop - first),
                    }
                    if selects:
                        streams = noises("selection", first, stop)
                        found["scores"] = crop_scores(target, images, own, shown, streams, side).cpu()
                run.resume.write(f"{name}-found", found)
                run.resume.write(name, {})  # the state is large, and no longer wanted
            meter.add((stop - first) * (self.steps + self.rounds * selects))
            return found

        parts = in_chunks(rows, size, search)

        def joined(key: str) -> Tensor:
            values = torch.cat([part[key] for part in parts])
            return values.reshape(self.starts, len(identities), *values.shape[1:])

        styles, pixels, which = joined("styles"), joined("pixels"), torch.arange(len(identities))
        chosen = torch.arange(self.starts)[:, None].expand(-1, len(identities))
        if selects:
            chosen = best(joined("scores"), self.kept)  # (kept, N)
        return Reconstructions(
            latents=styles[chosen, which],
            images=pixels[chosen, which],
            history=history(self.steps, [part["losses"] for part in parts], rows),
        )

    def look(self, generator: BlockGenerator, state: DescentState) -> Tensor:
        """Return what targets see of the last images of `descend`, (n, 3, S, S), clipped if `clip` is set."""
        features, picture = between(state)
        whole = generator.finish(state["styles"], self.blocks, features, picture)
        return generator.view(whole.clamp(0, 1) if self.clip else whole)

    def descend(
        self,
        target: Classifier,
        generator: BlockGenerator,
        styles: Tensor,
        labels: Tensor,
        crops: Sequence[Crop],
        size: int,
        noise: Iterator[Tensor],
        progress: Progress,
        *,
        resume: Resume | None = None,
        name: str = "rows",
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
            whole = generator.finish(leaves["styles"], stage, features, picture)
            seen = apply_crop(
                generator.view(whole.clamp(0, 1) if self.clip else whole), crops[iteration], size
            )
            with head_noise(target, drawn):
                loss = poincare(target(seen), labels).sum()
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
        return descend(step, begin, len(labels), self.steps, (noise,), progress, resume=resume, name=name)

    def _enter(self, generator: BlockGenerator, state: DescentState, stage: int) -> DescentState:
        """Return the state that `stage`, 1 or more, begins with."""
        with torch.no_grad():
            features, picture = generator.advance(state["styles"], stage - 1, *between(state))
        kept = picture if self.keep_picture else picture.new_zeros(len(picture), 0)
        return {**_fresh("styles", state["styles"]), **_fresh("features", features), "picture": kept}

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
