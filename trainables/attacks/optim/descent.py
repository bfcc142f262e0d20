"""Descents that attacks share: the loop, its updates, and how a prior and a target are asked in it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.errors import TrialError
from trainables.nn.identity_losses import IdentityLoss
from trainables.runtime.resumable_loop import resumable_loop
from trainables.storage.resume import Resume

HISTORY_POINTS = 50

DescentState = dict[str, Tensor]
Losses = tuple[Tensor, Tensor]
Step = Callable[..., tuple[DescentState, Losses]]
Guide = Callable[[Tensor, Tensor, Tensor], Tensor]
"""An identity loss per image, (n,), of images (n, 3, S, S), labels (n,) and, for a target with a stochastic
head, its noise (n, size)."""


@dataclass(frozen=True)
class Journal:
    """Where a search tells how far it is, and where its state lies: under `name` in `resume`.

    progress: ``progress(iteration, *measured)``, called about once a second, with how many were done.
    """

    progress: Callable[..., None] = lambda *_: None
    resume: Resume = field(default_factory=Resume)
    name: str = "rows"


def sampled(iterations: int) -> list[int]:
    """Return the iterations whose losses are kept, some `HISTORY_POINTS` from 0 to the last."""
    every = max(1, iterations // HISTORY_POINTS)
    return sorted({*range(0, iterations, every), iterations - 1})


def descend(
    step: Step,
    state: DescentState,
    rows: int,
    iterations: int,
    noises: Sequence[Iterator[Any]],
    journal: Journal,
) -> tuple[DescentState, Tensor]:
    """Return the last state and the mean (identity, prior) losses at `sampled` points, (P, 2), on the CPU.

    ``step(state, iteration, *draws)`` returns the next state and both losses, detached sums over `rows` rows;
    it gets the next draw of each stream in `noises`. The `journal` is told both losses: reading a loss
    waits for the device, so it is not read in between. A state that it holds is taken up, and the state is
    saved there from time to time and at the end; the losses of all steps with it, so that a descent over
    more iterations can take it up as well. Raises `TrialError` if a loss or the state is not finite when it
    is read.
    """
    anything = next(iter(state.values()))
    course = torch.zeros(iterations, 2, dtype=anything.dtype, device=anything.device)
    begin = 0
    saved = journal.resume.read(journal.name)
    if saved is not None and saved["iteration"] <= iterations:
        begin = saved["iteration"]
        course[:begin] = saved["course"].to(course)
        state = {key: saved["state"][key].to(value) for key, value in state.items()}
        for _ in range(begin):
            for noise in noises:
                next(noise)  # the draws of the steps that were done
    iteration = begin

    def steps() -> Iterator[bool]:
        nonlocal state, iteration
        for iteration in range(begin, iterations):
            state, losses = step(state, iteration, *(next(noise) for noise in noises))
            course[iteration] = torch.stack(losses) / rows
            yield iteration == iterations - 1

    def tell() -> None:
        means = course[iteration]
        if not all(bool(torch.isfinite(value).all()) for value in (means, *state.values())):
            raise TrialError(
                f"the attack's losses are not finite at iteration {iteration + 1} of {iterations}: "
                f"identity_loss, prior_loss = {means.tolist()}"
            )
        journal.progress(iteration + 1, *means.tolist())

    def save() -> None:
        done = {key: value.cpu() for key, value in state.items()}
        so_far = course[: iteration + 1].cpu()
        saved = {"iteration": iteration + 1, "state": done, "course": so_far}
        journal.resume.write(journal.name, saved)

    resumable_loop(steps(), tell, save, journal.resume)
    return state, course[sampled(iterations)].cpu()


def momentum_step(
    latents: Tensor, velocity: Tensor, gradient: Tensor, *, learning_rate: float, momentum: float, clip: float
) -> tuple[Tensor, Tensor]:
    """Return the next latents and velocity; all shapes (n, Z).

    v' = m v - lr g;  z' = clamp(z - m v + (1 + m) v', -clip, clip): Nesterov's step followed by a clamp that
    leaves the velocity alone (released code of GMI).
    """
    following = momentum * velocity - learning_rate * gradient
    moved = latents - momentum * velocity + (1 + momentum) * following
    return moved.clamp(-clip, clip), following


def adam_step(
    values: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
    *,
    steps: int,
    learning_rate: float,
    decays: tuple[float, float] = (0.9, 0.999),
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the next values and moments of Adam (Kingma & Ba 2015, algorithm 1); all of one shape.

    steps: how many were done, this one included. decays: of the moments; epsilon is 1e-8. Each number
    moves by itself, so rows may be split among chunks.
    """
    slow, slower = decays
    first = slow * first + (1 - slow) * gradient
    second = slower * second + (1 - slower) * gradient.square()
    size = (second / (1 - slower**steps)).sqrt() + 1e-8
    return values - learning_rate / (1 - slow**steps) * first / size, first, second


def ramp(peak: float, done: int, total: int) -> float:
    """Return the learning rate of step `done`, from 1 to `total`: up for 5 %, down over the last 25 %.

    peak min(1, t / 0.05) (1/2 - 1/2 cos(pi min(1, (1 - t) / 0.25))), t = done / total (released
    code of MIRROR, after StyleGAN2's projector).
    """
    t = done / total
    return peak * min(1.0, t / 0.05) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25)))


def adam_start(name: str, values: Tensor) -> DescentState:
    """Return the state of a descent by `adam_update` that begins at `values`."""
    return {name: values, "first": torch.zeros_like(values), "second": torch.zeros_like(values)}


def adam_update(
    state: DescentState,
    gradient: Tensor,
    *,
    steps: int,
    learning_rate: float,
    decays: tuple[float, float] = (0.9, 0.999),
) -> DescentState:
    """Return a state of `adam_start` after one `adam_step`."""
    (name,) = state.keys() - {"first", "second"}
    values = adam_step(
        state[name].detach(),
        state["first"],
        state["second"],
        gradient,
        steps=steps,
        learning_rate=learning_rate,
        decays=decays,
    )
    return dict(zip((name, "first", "second"), values, strict=True))


def adam_descend(
    name: str,
    values: Tensor,
    loss: Callable[..., tuple[Tensor, Tensor, Tensor]],
    iterations: int,
    noises: Sequence[Iterator[Tensor]],
    journal: Journal,
    *,
    rows: int,
    learning_rate: float | Callable[[int], float],
    decays: tuple[float, float] = (0.9, 0.999),
) -> tuple[Tensor, Tensor]:
    """Return `values` after a descent by Adam, and its losses; see `descend`, whose state calls them `name`.

    ``loss(values, iteration, *draws)`` returns what is minimised, and the sums of both losses over `rows`.
    """

    def step(state: DescentState, iteration: int, *draws: Tensor) -> tuple[DescentState, Losses]:
        leaf = state[name].detach().requires_grad_(True)
        total, identity_loss, prior_loss = loss(leaf, iteration, *draws)
        (gradient,) = torch.autograd.grad(total, leaf)
        rate = learning_rate(iteration) if callable(learning_rate) else learning_rate
        after = adam_update(state, gradient, steps=iteration + 1, learning_rate=rate, decays=decays)
        return after, (identity_loss.detach(), prior_loss.detach())

    state, losses = descend(step, adam_start(name, values), rows, iterations, noises, journal)
    return state[name], losses


def guided(target: Classifier, loss: IdentityLoss) -> Guide:
    """Return `loss` of what `target` says as the identity loss of images."""

    def guide(images: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        with head_noise(target, noise):
            return loss(target(images), labels)

    return guide
