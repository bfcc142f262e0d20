"""MIRROR's black-box variant: breed styles of a StyleGAN, knowing only the target's scores."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

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
from trainables.attacks.optim.pool_search import PoolSearch
from trainables.attacks.optim.rows import Meter
from trainables.attacks.optim.style_pool import best, style_bounds
from trainables.attacks.optim.styles import StyleGenerator, style_generator
from trainables.method import length_knob
from trainables.oracle import ScoreOracle
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import at_least, fraction
from trainables.runtime.resumable_loop import resumable_loop
from trainables.runtime.run import Run

SMALLEST = 1e-38  # of a probability, so that its logarithm stays finite

Crossover = Literal["released", "corrected"]


def share(first: Tensor, second: Tensor, crossover: Crossover) -> Tensor:
    """Return the chance that a gene comes from the first parent, of both parents' log probabilities.

    released: f1 / (f1 + f2), as released; the logarithms are negative, so the *worse* parent gives more.
    corrected: p1 / (p1 + p2), so that the better one does.
    """
    if crossover == "corrected":
        return torch.sigmoid(first - second)
    both = first + second
    return torch.where(both < 0, first / both, 0.5)


def mutated(styles: Tensor, mask: Tensor, noise: Tensor) -> Tensor:
    """Return styles (n, W) with `noise` (W,) added in P space where `mask` (n, W) is set."""
    before = functional.leaky_relu(styles, 5.0) + mask * noise
    return functional.leaky_relu(before, 0.2)


@dataclass(frozen=True, kw_only=True)
class MirrorBlackbox(PoolSearch):
    """MIRROR's genetic attack: An et al. 2022; the defaults are those of the released script.

    Each identity's first `population` are the samples of a pool with the highest score for it. In each
    generation the best survives, and the others are children of parents drawn in proportion to their scores:
    each gene (entry of the style) of one of them, some genes moved, then cut to the usual styles.

    generations: at most; an identity is done when its best score reaches `enough`.
    crossover: see `share`. The default is what was released, which is not what was meant.
    mutation_chance, mutation_size: share of genes moved, and by how many standard deviations of the pool in
        P space at most; all children of a generation move along one direction, as released.

    The survivor's score is remembered, not asked again, which saves one query in each generation.
    """

    kind: ClassVar[str] = "mirror_blackbox"
    summary: ClassVar[str] = "genetic search over StyleGAN2 styles from the target's scores"
    source: ClassVar[str] = "An et al., NDSS 2022 (MIRROR)"
    threat_model: ClassVar[ThreatModel] = "scores"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {"pool": 1000, "population": 40, "generations": 25},
    }

    population: int = 1000
    generations: int = length_knob(100)
    enough: float = 0.95
    crossover: Crossover = "released"
    mutation_chance: float = 0.1
    mutation_size: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "generations")
        at_least(self, 2, "population")
        at_least(self, 0, "mutation_size", "spread")
        fraction(self, "enough", "mutation_chance")
        if self.population > self.pool:
            raise ValueError(f"population must be at most pool, {self.pool}; got {self.population}")

    def passes(self) -> Passes:
        """Return what one identity costs at most."""
        children = self.generations * (self.population - 1)
        return Passes(generator_forward=children + 1, target_forward=children)

    def reconstruct(
        self, target: ScoreOracle, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (1, N) reconstructions; see `Attack.reconstruct`."""
        generator = style_generator(prior, self.kind)
        size, count = chunk_size(run), len(identities)
        meter = Meter(run.report, self.pool + count * self.generations)
        pool, scores = self.rated_pool(target, target.noise_size, prior, identities, run, meter.add)
        chosen = best(scores, self.population)  # (P, N)
        fitness = scores.gather(0, chosen).clamp_min(SMALLEST).log().T  # (N, P), best first

        def breed(first: int, stop: int) -> tuple[Tensor, Tensor]:
            return self.evolve(
                target,
                generator,
                pool[chosen.T[first:stop]],
                fitness[first:stop],
                pool,
                identities[first:stop],
                run=run,
                meter=meter,
                name=f"identities-{first}-{stop}",
            )

        bred = in_chunks(count, max(1, size // self.population), breed)
        latents = torch.cat([styles for styles, _ in bred])
        course = torch.cat([each for _, each in bred])  # (N, generations + 1) the best log probabilities
        asked = (course[:, :-1] < math.log(self.enough)).sum()  # generations that had children
        images = render(lambda styles: self.images(generator, styles), latents, run)
        return Reconstructions(
            latents=latents[None],
            images=images[None],
            history=[
                {"iteration": float(generation), "identity_loss": -value, "prior_loss": 0.0}
                for generation, value in enumerate(course.mean(0).tolist())
            ],
            queries=self.pool + int(asked) * (self.population - 1),
            shared_queries=self.pool,
        )

    def images(self, generator: StyleGenerator, styles: Tensor) -> Tensor:
        """Return what targets see of styles (n, W), (n, 3, S, S) in [0, 1]."""
        return super().images(generator, styles).clamp(0, 1)

    def evolve(
        self,
        target: ScoreOracle,
        generator: StyleGenerator,
        population: Tensor,
        fitness: Tensor,
        pool: Tensor,
        identities: Tensor,
        *,
        run: Run,
        meter: Meter,
        name: str,
    ) -> tuple[Tensor, Tensor]:
        """Return the best styles (n, W), and each generation's best log probability, (n, generations + 1).

        population: (n, P, W), fitness: (n, P), both on the CPU and the best first; pool: (M, W).
        An identity that has `enough` stays as it is. Each has a random stream of its own in each generation.
        """
        low, high = style_bounds(pool, self.spread)
        deviation = functional.leaky_relu(pool, 5.0).std(0, correction=0)
        course, begin = [fitness[:, 0]], 0
        saved = run.resume.read(name)
        if saved is not None:
            begin, population, fitness = saved["generation"], saved["population"], saved["fitness"]
            course = list(saved["course"].T)
            meter.add(begin * len(identities))
        population, fitness = population.clone(), fitness.clone()

        def images(styles: Tensor) -> Tensor:
            return self.images(generator, styles)

        def generation(number: int) -> None:
            left = (fitness[:, 0] < math.log(self.enough)).nonzero().flatten()
            if not len(left):
                return
            families = [
                self._children(
                    population[i],
                    fitness[i],
                    low,
                    high,
                    deviation,
                    run.stream(self.kind, "breeding", int(identities[i]), number),
                    target.noise_size,
                )
                for i in left.tolist()
            ]
            children = torch.stack([styles for styles, _ in families])
            noise = torch.cat([drawn for _, drawn in families])
            labels = identities[left].repeat_interleave(self.population - 1)
            styles = children.flatten(0, 1)
            scores = answers(target, images, styles, noise, run).gather(1, labels[:, None])[:, 0]
            scores = scores.clamp_min(SMALLEST).log()
            everyone = torch.cat((population[left, :1], children), dim=1)
            ranked = torch.cat((fitness[left, :1], scores.reshape(len(left), -1)), dim=1).sort(
                dim=1, descending=True, stable=True
            )
            fitness[left] = ranked.values
            population[left] = everyone[torch.arange(len(left))[:, None], ranked.indices]

        def generations() -> Iterator[bool]:
            for number in range(begin, self.generations):
                generation(number)
                course.append(fitness[:, 0].clone())
                yield number == self.generations - 1
                meter.add(len(identities))

        def save() -> None:
            run.resume.write(
                name,
                {
                    "generation": len(course) - 1,
                    "population": population,
                    "fitness": fitness,
                    "course": torch.stack(course, dim=1),
                },
            )

        resumable_loop(generations(), lambda: None, save, run.resume)
        return population[:, 0], torch.stack(course, dim=1)

    def _children(
        self,
        population: Tensor,
        fitness: Tensor,
        low: Tensor,
        high: Tensor,
        deviation: Tensor,
        generator: torch.Generator,
        noise_size: int,
    ) -> tuple[Tensor, Tensor]:
        """Return P - 1 children (P - 1, W) of a population (P, W), and noise for the target's head."""
        count, width = len(population) - 1, population.shape[1]
        drawn = torch.multinomial(fitness.softmax(0), 2 * count, replacement=True, generator=generator)
        mothers, fathers = drawn[:count], drawn[count:]
        first = torch.rand(count, width, generator=generator) < share(
            fitness[mothers], fitness[fathers], self.crossover
        ).unsqueeze(1)
        crossed = torch.where(first, population[mothers], population[fathers])
        mask = torch.rand(count, width, generator=generator) < self.mutation_chance
        step = (2 * torch.rand(width, generator=generator) - 1) * deviation * self.mutation_size
        children = torch.minimum(torch.maximum(mutated(crossed, mask, step), low), high)
        return children, torch.randn(count, noise_size, generator=generator)
