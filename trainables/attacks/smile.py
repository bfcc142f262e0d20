"""SMILE: a surrogate of few answers leads to a start, from which the target's scores steer an evolution."""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trainables.architectures import ARCHITECTURES
from trainables.attacks.base import (
    Learnt,
    Passes,
    Reconstructions,
    ThreatModel,
    answers,
    chunk_size,
    in_chunks,
    render,
)
from trainables.attacks.long_tailed import SMALLEST, Experts, new_experts, train_experts
from trainables.attacks.optim.descent import (
    DescentState,
    Journal,
    Losses,
    adam_start,
    adam_update,
    descend,
    ramp,
    sampled,
)
from trainables.attacks.optim.pool_search import PoolSearch
from trainables.attacks.optim.rows import Meter, search_rows
from trainables.attacks.optim.style_pool import best, style_bounds
from trainables.attacks.optim.styles import StyleGenerator, style_generator
from trainables.errors import MissingError
from trainables.method import file_knob, length_knob, named_knob
from trainables.nn.identity_losses import cross_entropy
from trainables.nn.inference import inference_copy
from trainables.oracle import ScoreOracle
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.resumable_loop import resumable_loop
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.training.classifier import Normalization


def check_nevergrad() -> None:
    """Raise `MissingError` naming the extra if nevergrad is not installed; importing it takes seconds."""
    if importlib.util.find_spec("nevergrad") is None:
        raise MissingError(
            "attack 'smile' expects nevergrad, the extra 'nevergrad' of this package; got no such module; "
            "install it with pip install 'inversion-sweeper[nevergrad]', or choose another attack that sees "
            "scores, such as 'mirror_blackbox'"
        )


def new_optimizer(start: Tensor, budget: int, seed: int) -> Any:
    """Return nevergrad's NGOpt for `budget` questions from `start`, (W,), with mutations of deviation 1."""
    nevergrad = importlib.import_module("nevergrad")
    place = nevergrad.p.Array(init=start.double().numpy()).set_mutation(sigma=1.0)
    place.random_state = np.random.RandomState(seed % 2**32)
    return nevergrad.optimizers.NGOpt(parametrization=place, budget=budget)


@dataclass(frozen=True, kw_only=True)
class SMILE(PoolSearch):
    """SMILE: Li et al. 2025, "From Head to Tail"; the defaults are those of the released scripts.

    The target is asked about one pool of samples, and a surrogate with several experts learns its scores,
    those of rare labels the most (`long_tailed.surrogate_loss`). Each identity starts from its surest sample.
    A descent on the surrogate's cross-entropy moves its style, cut to `local_spread` as in MIRROR; from where
    that ends, nevergrad's NGOpt goes on by the target's scores, cut to `spread`. The best style that the
    target was asked about is returned.

    surrogate: its architecture.  surrogate_path: weights of a network that knows other faces, of which the
        last stage, neck and head are made anew for each expert and the rest stays as it is. Without such a
        file all of it begins at random and is trained.  normalization: of its pixels.
    epochs, batch_size, surrogate_rate, label_weight, diversity_weight: of its training.
    iterations, learning_rate: of the descent, by Adam; the rate is the peak of `ramp`.
    budget: questions about each identity.

    Departures: the weight of a label is that of each of its images (see `surrogate_loss`), and the surrogate
    learns from images of 8 bits.
    """

    kind: ClassVar[str] = "smile"
    version = 2  # the diversity of the surrogate's experts is the released one
    summary: ClassVar[str] = "a surrogate of the scores for rare labels, then evolution of StyleGAN2 styles"
    source: ClassVar[str] = "Li et al., CVPR 2025 (SMILE)"
    threat_model: ClassVar[ThreatModel] = "scores"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {"pool": 1000, "surrogate": "small_cnn", "epochs": 20, "iterations": 100, "budget": 300},
    }

    pool: int = 2500
    spread: float = 1.7
    surrogate: str = named_knob(ARCHITECTURES, "resnet50")
    surrogate_path: str = file_knob("")
    normalization: Normalization = "half"
    experts: int = 3
    epochs: int = 200
    batch_size: int = 128
    surrogate_rate: float = 1e-3
    label_weight: float = 0.15
    diversity_weight: float = 10.0
    iterations: int = length_knob(200)
    learning_rate: float = 0.2
    local_spread: float = 1.0
    budget: int = length_knob(1000)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "experts", "epochs", "iterations", "budget")
        at_least(self, 2, "pool", "batch_size")  # batch norm needs two
        at_least(self, 0, "label_weight", "diversity_weight", "spread", "local_spread")
        above(self, 0, "surrogate_rate", "learning_rate")
        if self.surrogate not in ARCHITECTURES:
            raise ValueError(f"surrogate must be one of {', '.join(ARCHITECTURES)}; got '{self.surrogate}'")

    def check_size(self, image_size: int) -> None:
        """Raise `ConfigError` if the surrogate does not take images of `image_size` pixels."""
        ARCHITECTURES[self.surrogate].check_size(image_size, "image_size, seen by attack.surrogate")

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior has a style space, and nevergrad is there."""
        super().check_prior(prior)
        check_nevergrad()

    def passes(self) -> Passes:
        """Return what one identity costs."""
        return Passes(
            generator_forward=self.iterations + self.budget + 1,
            generator_backward=self.iterations,
            target_forward=self.budget,
            surrogate_forward=self.iterations,
            surrogate_backward=self.iterations,
        )

    def shared_passes(self) -> Passes:
        """Return what the pool costs, and the surrogate's training on it."""
        return Passes(
            generator_forward=2 * self.pool,
            target_forward=self.pool,
            surrogate_forward=self.epochs * self.pool,
            surrogate_backward=self.epochs * self.pool,
        )

    def surrogate_network(self, classes: int, image_size: int) -> nn.Module:
        """Return untrained experts."""
        return self._experts(classes, image_size, seed=0)

    def _experts(self, classes: int, image_size: int, *, seed: int) -> Experts:
        return new_experts(
            self.surrogate,
            classes,
            image_size,
            count=self.experts,
            path=self.surrogate_path,
            normalization=self.normalization,
            seed=seed,
        )

    def images(self, generator: StyleGenerator, styles: Tensor) -> Tensor:
        """Return what targets see of styles (n, W), (n, 3, S, S) in [0, 1]."""
        return super().images(generator, styles).clamp(0, 1)

    def reconstruct(
        self, target: ScoreOracle, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (1, N) reconstructions; see `Attack.reconstruct`."""
        generator = style_generator(prior, self.kind)
        count, size = len(identities), chunk_size(run)
        meter = Meter(run.report, self.pool + self.epochs + count * (self.iterations + self.budget))
        everyone = torch.arange(target.classes)
        pool, scores = self.rated_pool(target, target.noise_size, prior, everyone, run, meter.add)
        surrogate = self.learn(generator, pool, scores, run, meter)
        starts = pool[best(scores[:, identities], 1)[0]]

        def search(first: int, stop: int, journal: Journal) -> tuple[Tensor, Tensor]:
            begin = starts[first:stop].to(run.device)
            labels = identities[first:stop].to(run.device)
            styles, losses = self.descend(surrogate, generator, begin, labels, pool, journal)
            return styles, losses * (stop - first)

        (local,), _ = search_rows(search, count, size, self.iterations, run=run, name="local", meter=meter)

        def evolve(first: int, stop: int) -> tuple[Tensor, Tensor]:
            begin, labels = local[first:stop], identities[first:stop]
            return self.evolve(target, generator, begin, labels, pool, run=run, meter=meter, first=first)

        ends = in_chunks(count, size, evolve)
        latents = torch.cat([styles for styles, _ in ends])
        course = torch.cat([values for _, values in ends]).mean(0)  # (budget,) best log probabilities so far
        return Reconstructions(
            latents=latents[None],
            images=render(lambda styles: self.images(generator, styles), latents, run)[None],
            history=[
                {"iteration": float(number), "identity_loss": -course[number].item(), "prior_loss": 0.0}
                for number in sampled(self.budget)
            ],
            queries=self.pool + count * self.budget,
            shared_queries=self.pool,
        )

    def learn(
        self, generator: StyleGenerator, pool: Tensor, scores: Tensor, run: Run, meter: Meter
    ) -> nn.Module:
        """Return the surrogate, trained on the scores (M, K) of the images of a pool (M, W)."""
        pixels = render(lambda styles: self.images(generator, styles), pool, run)
        seed = derive(run.seed, self.kind, "surrogate")
        experts = self._experts(scores.shape[1], pixels.shape[-1], seed=seed).to(run.device)
        train_experts(
            experts,
            pixels,
            scores.float(),
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.surrogate_rate,
            label_weight=self.label_weight,
            diversity_weight=self.diversity_weight,
            frozen=bool(self.surrogate_path),
            run=run,
            done=meter.add,
        )
        return inference_copy(experts, run.device)

    def descend(
        self,
        surrogate: nn.Module,
        generator: StyleGenerator,
        styles: Tensor,
        labels: Tensor,
        pool: Tensor,
        journal: Journal,
    ) -> tuple[Tensor, Tensor]:
        """Return the last styles (n, W) of a descent on the surrogate, and the mean losses at sampled points.

        styles: (n, W), labels: (n,), both on the device; pool: (M, W). Images are not clipped here, as in
        MIRROR's descent.
        """
        low, high = (bound.to(styles) for bound in style_bounds(pool, self.local_spread))

        def step(state: DescentState, iteration: int) -> tuple[DescentState, Losses]:
            leaf = state["styles"].detach().requires_grad_(True)
            images = PoolSearch.images(self, generator, leaf)
            loss = cross_entropy(surrogate(images), labels).sum()
            (gradient,) = torch.autograd.grad(loss, leaf)
            rate = ramp(self.learning_rate, iteration + 1, self.iterations)
            after = adam_update(state, gradient, steps=iteration + 1, learning_rate=rate)
            after["styles"] = torch.minimum(torch.maximum(after["styles"], low), high)
            return after, (loss.detach(), loss.new_zeros([]))

        start = adam_start("styles", styles)
        state, losses = descend(step, start, len(labels), self.iterations, (), journal)
        return state["styles"], losses

    def evolve(
        self,
        target: ScoreOracle,
        generator: StyleGenerator,
        starts: Tensor,
        identities: Tensor,
        pool: Tensor,
        *,
        run: Run,
        meter: Meter,
        first: int,
    ) -> tuple[Tensor, Tensor]:
        """Return the best styles asked about (n, W), and the best log probability so far, (n, budget).

        starts: (n, W), pool: (M, W), both on the CPU.  first: in the name of what is saved.
        The answers are saved, and told to a new optimizer when the work goes on: it asks the same again.
        """
        name = f"evolution-{first}-{first + len(starts)}"
        saved = run.resume.read(name)
        known: list[Tensor] = [] if saved is None else list(saved["scores"])
        low, high = (bound.double().numpy() for bound in style_bounds(pool, self.spread))
        seeds = [derive(run.seed, self.kind, "evolution", identity) for identity in identities.tolist()]
        optimizers = [
            new_optimizer(start, self.budget, seed) for start, seed in zip(starts, seeds, strict=True)
        ]
        top, styles = torch.full((len(starts),), -torch.inf), starts.clone()
        course: list[Tensor] = []

        def images(styles: Tensor) -> Tensor:
            return self.images(generator, styles)

        def ask(styles: Tensor, number: int) -> Tensor:
            noise = torch.stack(
                [
                    torch.randn(target.noise_size, generator=run.stream(self.kind, "head", identity, number))
                    for identity in identities.tolist()
                ]
            )
            own = answers(target, images, styles, noise, run).gather(1, identities[:, None])[:, 0]
            return own.clamp_min(SMALLEST).log()

        def questions() -> Iterator[bool]:
            nonlocal top, styles
            for number in range(self.budget):
                candidates = [optimizer.ask() for optimizer in optimizers]
                for candidate in candidates:  # what the optimizer is told of is what was asked about
                    candidate.value[:] = np.clip(candidate.value, low, high)
                asked = torch.from_numpy(np.stack([candidate.value for candidate in candidates])).to(starts)
                if number == len(known):
                    known.append(ask(asked, number))
                scores = known[number]
                for optimizer, candidate, score in zip(optimizers, candidates, scores.tolist(), strict=True):
                    optimizer.tell(candidate, -score)
                better = scores > top
                top = torch.where(better, scores, top)
                styles = torch.where(better[:, None], asked, styles)
                course.append(top)
                meter.add(len(starts))
                yield number == self.budget - 1

        resumable_loop(
            questions(),
            lambda: None,
            lambda: run.resume.write(name, {"scores": torch.stack(known)}),
            run.resume,
        )
        return styles, torch.stack(course, dim=1)
