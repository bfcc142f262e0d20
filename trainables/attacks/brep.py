"""BREP-MI: walk away from a target's decision boundary, asking for labels on growing spheres."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.attacks.base import (
    Attack,
    Learnt,
    Passes,
    Reconstructions,
    ThreatModel,
    answers,
    render,
)
from trainables.method import length_knob
from trainables.oracle import LabelOracle
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.resumable_loop import resumable_loop
from trainables.runtime.run import Run

HISTORY_POINTS = 50
LARGEST_RADIUS = 1e6  # a sphere this large lies within the class only if the target says nothing else

# (call, indices of the walking identities) -> raw normals (n, points, Z), head noise (n, points + 1, size)
Draw = Callable[[int, Tensor], tuple[Tensor, Tensor]]


def directions(normals: Tensor) -> Tensor:
    """Return points (..., Z) on the unit sphere, uniform if `normals` are standard normal."""
    toward: Tensor = normals / normals.norm(dim=-1, keepdim=True)
    return toward


def candidates(
    latents: Tensor,
    radius: Tensor,
    toward: Tensor,
    inside: Tensor,
    *,
    expansion: float,
    growth_share: float,
    clip: float,
    repulsion_only: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return where to step (n, Z), the radius after this call (n,) and whether it grew (n,).

    latents: (n, Z).  radius: float64 (n,).  toward: unit vectors (n, P, Z).  inside: bool (n, P), whether the
    point at `radius` in each direction has the identity's label.
    With phi = +1 inside and -1 outside, the radius R grows to R' = `expansion` R if sum phi >
    `growth_share` P. The step is min(R / 3, 3) g with g = mean(weight R n) / R', where a direction's weight
    is phi, or (phi - 1) / 2 if `repulsion_only` (released code of BREP-MI; its step keeps the old radius).
    """
    phi = inside.to(latents.dtype) * 2 - 1
    grown = phi.sum(1) > growth_share * phi.shape[1]
    larger = torch.where(grown, radius * expansion, radius)
    weights = (phi - 1) / 2 if repulsion_only else phi
    shrunk = torch.where(grown, 1 / expansion, 1.0).to(latents.dtype)  # R / R'
    pull = (weights[:, :, None] * toward).mean(1) * shrunk[:, None]
    step = (radius / 3).clamp(max=3).to(latents.dtype)
    return (latents + step[:, None] * pull).clamp(-clip, clip), larger, grown


@dataclass(frozen=True, kw_only=True)
class BREP(Attack):
    """BREP-MI: Kahla et al. 2022, "Label-Only Model Inversion Attacks via Boundary Repulsion".

    Follows the released code. From a latent that the target gives to the identity, each call asks for the
    labels of `points` latents on a sphere, and steps away from those outside the class (`candidates`). A
    step is taken only if its latent keeps the label. What an identity is judged by is the latent of the last
    call in which the sphere grew and the step was taken, as published.

    radius, expansion, growth_share: of the first sphere, its growth, and the sum of +1 and -1 over `points`
    beyond which it grows: 0.75 of 32 is 29 points inside.
    iterations: steps at one radius without growth after which a walk ends; a step that is not taken and a
    call with growth do not count, as published.
    clip: latents are kept within +-clip; the points of a sphere are not.
    repulsion_only: whether points inside say nothing, as the released settings have it, or pull.
    start_batch: latents asked about at once in the search for the first ones.

    Departures. `calls` bounds the calls of a walk and `start_queries` the images of the search for starts,
    which the published loops do not: both could run for ever. The identities that are asked for are
    attacked; the released settings take the first 300 labels that show up, which are the easy ones. Whoever
    has no start within the budget keeps a random latent, and whoever's sphere never grew the last latent of
    the walk; published code counts both as failures unseen, here the judge sees them. ``started`` and
    ``grown`` in the history say how many are not of that kind. The published loop asks an evaluator; here
    nobody but the target is asked.
    """

    kind: ClassVar[str] = "brep"
    summary: ClassVar[str] = "label-only walk away from the decision boundary in the latent space of a GAN"
    source: ClassVar[str] = "Kahla et al., CVPR 2022 (BREP-MI)"
    threat_model: ClassVar[ThreatModel] = "labels"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {"iterations": 50, "calls": 200, "start_queries": 20_000},
    }

    points: int = 32
    radius: float = 2.0
    expansion: float = 1.3
    growth_share: float = 0.75
    iterations: int = length_knob(1000)
    clip: float = 1.5
    repulsion_only: bool = True
    calls: int = 20_000
    start_batch: int = 256
    start_queries: int = 1_000_000

    def __post_init__(self) -> None:
        at_least(self, 1, "points", "iterations", "calls", "start_batch", "start_queries")
        above(self, 0, "radius", "clip")
        above(self, 1, "expansion")

    def _walk_queries(self, identities: int) -> int:
        """Return what the walks of so many identities ask at most."""
        return identities * self.calls * (self.points + 1)

    def passes(self) -> Passes:
        """Return what one identity costs at most."""
        most = self._walk_queries(1)
        return Passes(generator_forward=most + 1, target_forward=most)

    def shared_passes(self) -> Passes:
        """Return what the search for starts costs at most."""
        return Passes(generator_forward=self.start_queries, target_forward=self.start_queries)

    def unguided_latents(self, normals: Tensor) -> Tensor:
        """Return random latents, clipped as those of a walk."""
        return normals.clamp(-self.clip, self.clip)

    def reconstruct(
        self, target: LabelOracle, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (1, N) reconstructions; see `Attack.reconstruct`. All identities walk at once.

        history: ``{"iteration", "radius", "walking", "started", "grown"}`` by call: the mean radius, and
        shares of identities.
        """
        latents, started, asked = self.search(target, prior, identities, run=run)

        def draw(call: int, rows: Tensor) -> tuple[Tensor, Tensor]:
            normals, noise = [], []
            for identity in identities[rows].tolist():
                generator = run.stream("brep", "walk", identity, call)
                normals.append(torch.randn(self.points, prior.latent_size, generator=generator))
                noise.append(torch.randn(self.points + 1, target.noise_size, generator=generator))
            return torch.stack(normals), torch.stack(noise)

        latents, asked_on_spheres, history = self.walk(
            target, prior, latents, identities, started, draw, run=run
        )
        images = render(prior.generator, latents, run)
        return Reconstructions(
            latents=latents[None],
            images=images[None],
            history=history,
            queries=asked + asked_on_spheres,
            shared_queries=asked,
        )

    def search(
        self, target: LabelOracle, prior: PriorNetworks, identities: Tensor, *, run: Run
    ) -> tuple[Tensor, Tensor, int]:
        """Return a latent per identity (N, Z), whether the target gives it that identity (N,), and the cost.

        One sequence of random latents serves all identities, and each takes the first that has its label: so
        whom else one attacks does not matter. The cost is in queries.
        """
        guesses = [
            torch.randn(prior.latent_size, generator=run.stream("brep", "guess", identity))
            for identity in identities.tolist()
        ]
        state: dict[str, Any] = {
            "latents": torch.stack(guesses).clamp(-self.clip, self.clip),
            "started": torch.zeros(len(identities), dtype=torch.bool),
            "batch": 0,
            "asked": 0,
        }
        state.update(run.resume.read("start") or {})

        def steps() -> Iterator[bool]:
            while not state["started"].all() and state["asked"] < self.start_queries:
                count = min(self.start_batch, self.start_queries - state["asked"])
                generator = run.stream("brep", "start", state["batch"])
                drawn = torch.randn(self.start_batch, prior.latent_size, generator=generator)[:count]
                drawn = drawn.clamp(-self.clip, self.clip)
                noise = torch.randn(self.start_batch, target.noise_size, generator=generator)[:count]
                labels = answers(target, prior.generator, drawn, noise, run)
                hits = labels[None] == identities[:, None]
                fresh = hits.any(1) & ~state["started"]
                state["latents"][fresh] = drawn[hits.int().argmax(1)[fresh]]  # the first hit
                state["started"] |= fresh
                state["batch"], state["asked"] = state["batch"] + 1, state["asked"] + count
                yield False

        most = self.start_queries + self._walk_queries(len(identities))

        def tell() -> None:
            run.report("attack", state["asked"], most, started=state["started"].double().mean().item())

        resumable_loop(steps(), tell, lambda: run.resume.write("start", state), run.resume)
        return state["latents"], state["started"], state["asked"]

    def walk(
        self,
        target: LabelOracle,
        prior: PriorNetworks,
        latents: Tensor,
        identities: Tensor,
        started: Tensor,
        draw: Draw,
        *,
        run: Run,
    ) -> tuple[Tensor, int, list[dict[str, float]]]:
        """Return the latents to judge (N, Z), the queries that took, and the history.

        latents: (N, Z), where those of `started` (N,) have their identity's label; the others stay put.
        """
        state: dict[str, Any] = {
            "call": 0,
            "asked": 0,
            "latents": latents.clone(),
            "kept": latents.clone(),
            "radius": torch.full((len(latents),), self.radius, dtype=torch.float64),
            "since": torch.zeros(len(latents), dtype=torch.int64),  # steps since the sphere grew
            "grown": torch.zeros_like(started),
            "walking": started.clone(),
            "every": 1,
            "history": [],
        }
        state.update(run.resume.read("walk") or {})

        def steps() -> Iterator[bool]:
            while state["walking"].any() and state["call"] < self.calls:
                self._call(target, prior, identities, draw, state, run)
                self._record(state, started)
                yield False
            if not state["history"]:  # nobody started, of some identities as others may
                state["history"].append(self._point(state, started, 0))

        walk = self._walk_queries(len(latents))

        def tell(ended: bool = False) -> None:
            """Report queries of the budgets: those of walks that ended early are not left to ask."""
            stopped = 1 - state["walking"].double().mean().item()
            share = 1.0 if ended else max(state["call"] / self.calls, stopped)
            done, most = self.start_queries + int(share * walk), self.start_queries + walk
            run.report("attack", done, most, radius=state["radius"].mean().item())

        resumable_loop(steps(), tell, lambda: run.resume.write("walk", state), run.resume)
        tell(ended=True)
        judged = torch.where(state["grown"][:, None], state["kept"], state["latents"])
        return judged, state["asked"], state["history"]

    def _call(
        self,
        target: LabelOracle,
        prior: PriorNetworks,
        identities: Tensor,
        draw: Draw,
        state: dict[str, Any],
        run: Run,
    ) -> None:
        """Let every walking identity ask one sphere and one candidate; changes `state`."""
        rows = state["walking"].nonzero().flatten()
        normals, noise = draw(state["call"], rows)
        here, radius, labels = state["latents"][rows], state["radius"][rows], identities[rows]
        toward = directions(normals.to(here.dtype))
        around = here[:, None] + radius.to(here.dtype)[:, None, None] * toward
        noise_around = noise[:, : self.points].flatten(0, 1)
        answered = answers(target, prior.generator, around.flatten(0, 1), noise_around, run)
        inside = answered.reshape(len(rows), self.points) == labels[:, None]
        moved, larger, grew = candidates(
            here,
            radius,
            toward,
            inside,
            expansion=self.expansion,
            growth_share=self.growth_share,
            clip=self.clip,
            repulsion_only=self.repulsion_only,
        )
        taken = answers(target, prior.generator, moved, noise[:, self.points], run) == labels
        judged = grew & taken
        state["call"] += 1
        state["asked"] += len(rows) * (self.points + 1)
        state["latents"][rows[taken]] = moved[taken]
        state["kept"][rows[judged]] = moved[judged]
        state["grown"][rows[judged]] = True
        state["radius"][rows] = larger
        since = torch.where(grew, 0, state["since"][rows] + taken)
        state["since"][rows] = since
        state["walking"][rows] = (since < self.iterations) & (larger < LARGEST_RADIUS)

    @staticmethod
    def _record(state: dict[str, Any], started: Tensor) -> None:
        """Add this call to the history, which is thinned by half whenever it has grown too long."""
        if (state["call"] - 1) % state["every"] == 0:
            state["history"].append(BREP._point(state, started, state["call"] - 1))
        if len(state["history"]) > 2 * HISTORY_POINTS:
            state["history"] = state["history"][::2]
            state["every"] *= 2

    @staticmethod
    def _point(state: dict[str, Any], started: Tensor, iteration: int) -> dict[str, float]:
        flags = {"walking": state["walking"], "started": started, "grown": state["grown"]}
        shares = {name: which.double().mean().item() for name, which in flags.items()}
        return {"iteration": float(iteration), "radius": state["radius"].mean().item(), **shares}
