"""VMI: learn, for each identity, a distribution of latents whose images the target gives to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import Learnt, Passes, Reconstructions, ThreatModel, chunk_size, render
from trainables.attacks.optim.alignment import AlignedAttack
from trainables.attacks.optim.descent import DescentState, Journal, Losses, descend, guided
from trainables.attacks.optim.posteriors import Draws, Flow, Gaussian, Mixture, Posterior
from trainables.attacks.optim.rows import by_sample, search_rows
from trainables.errors import ConfigError
from trainables.method import length_knob
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.upload import upload


def smoothed_cross_entropy(logits: Tensor, identities: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return -sum_c t_c log softmax(logits)_c, (n,), with t = 1 - smoothing for the identity.

    The rest of the mass is shared evenly by the other classes (released code of VMI).
    """
    log_p = logits.log_softmax(1)
    own = log_p.gather(1, identities[:, None]).squeeze(1)
    others = (log_p.sum(1) - own) / (logits.shape[1] - 1)
    return -((1 - smoothing) * own + smoothing * others)


@dataclass(frozen=True, kw_only=True)
class VMI(AlignedAttack):
    """VMI: Wang et al. 2021, "Variational Model Inversion Attacks"; follows the released code.

    Minimises mean cross-entropy(T(G(s)), identity) + kl_weight * KL(q || N(0, I)) over the parameters of a
    distribution q of latents s per identity, by SGD. The reconstructions are `samples` draws from q.

    posterior: "gaussian" has a full covariance; "mixture" has `components` of them; "flow" is ours, see
    `Flow`: the released flow is a Glow whose deeper levels draw fresh noise, which is not followed.
    components: how many is ours: the released code's default is one, which is a single Gaussian, and it ships
        no run of a mixture. flow_steps and hidden are those of its face runs.
    layers: for a prior whose latent is `layers` vectors of equal length, one per layer of its generator: each
    has a distribution of its own and all share their draws. Released face settings have no layer outside q.
    batch, steps: images per step; the published result is that of epoch 20 of 157 steps.
    learning_rate, momentum: of SGD.  smoothing: of the labels, see `smoothed_cross_entropy`.
    kl_samples: draws for the divergence of a Gaussian, published 1000; 0 takes its closed form, a departure
    of the same mean and no noise. A mixture or a flow takes `batch` draws, as published.
    The released loop works in float64, this one in float32.
    """

    kind: ClassVar[str] = "vmi"
    summary: ClassVar[str] = "variational: a distribution of latents per identity, by gradients"
    source: ClassVar[str] = "Wang et al., NeurIPS 2021 (VMI)"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        # the same way as 3140 published steps, in fewer and longer ones
        "cpu": {"steps": 60, "batch": 8, "samples": 5, "kl_samples": 0, "learning_rate": 5e-3},
    }

    posterior: Literal["gaussian", "mixture", "flow"] = "gaussian"
    layers: int = 1
    components: int = 10
    flow_steps: int = 10
    hidden: int = 100
    batch: int = 64
    steps: int = length_knob(3140)
    samples: int = 50
    learning_rate: float = 1e-4
    momentum: float = 0.9
    kl_weight: float = 1e-3
    kl_samples: int = 1000
    smoothing: float = 0.0

    @property
    def restarts(self) -> int:
        """Return how many samples of each posterior count."""
        return self.samples

    def __post_init__(self) -> None:
        at_least(self, 1, "layers", "components", "flow_steps", "hidden", "batch", "steps", "samples")
        at_least(self, 0, "momentum", "kl_weight", "kl_samples", "smoothing")
        above(self, 0, "learning_rate")
        self.check_alignment()

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior's latent can be cut into `layers`, and holds no label."""
        super().check_prior(prior)
        if prior.latent_size % self.layers:
            raise ConfigError(
                f"the attack expects a prior whose latent is {self.layers} vectors of equal length; got a "
                f"latent of {prior.latent_size} numbers (attack.layers); choose a divisor of it"
            )

    def passes(self) -> Passes:
        """Return what one identity costs."""
        return Passes.descents(self.batch, self.steps, views=self.copies_seen, images=self.samples)

    def family(self) -> Posterior:
        """Return the distribution that the knobs name."""
        if self.posterior == "mixture":
            return Mixture(self.components)
        return Flow(self.flow_steps, self.hidden, 0) if self.posterior == "flow" else Gaussian()

    def reconstruct(
        self, target: Classifier, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (samples, N) reconstructions; see `Attack.reconstruct`.

        `batch_size` counts images: a step of few identities is cut if even one has more.
        history: its ``prior_loss`` is the divergence.
        """
        size, width, family = chunk_size(run), prior.latent_size // self.layers, self.family()

        def search(first: int, stop: int, journal: Journal) -> tuple[Tensor, Tensor, Tensor]:
            def streams(use: str) -> list[torch.Generator]:
                return [run.stream("vmi", use, identity) for identity in identities[first:stop].tolist()]

            start = family.initial(streams("start"), self.layers, width)
            parameters, losses = self.fit(
                target,
                prior,
                family,
                {name: value.to(run.device) for name, value in start.items()},
                identities[first:stop].to(run.device),
                self.draws(streams("draws"), target, width, run.device),
                journal,
                size=size,
            )
            final = self._draw(streams("samples"), self.samples, 0, width)
            with torch.no_grad():
                draws = {name: value.to(run.device) for name, value in final.items()}
                latents = family.sample(parameters, draws).flatten(2)  # (n, samples, Y Z)
            return latents, render(prior.generator, latents, run), losses * (stop - first)

        (latents, images), history = search_rows(
            search, len(identities), size // self.batch, self.steps, run=run
        )
        return by_sample(latents, images, history)

    def draws(
        self, generators: list[torch.Generator], target: Classifier, width: int, device: str
    ) -> Iterator[Draws]:
        """Yield the draws of every step, row i from ``generators[i]``."""
        while True:
            drawn = self._draw(generators, self.batch, self.align_draws + target.noise_size, width)
            yield {name: upload(value, device) for name, value in drawn.items()}

    def _draw(self, generators: list[torch.Generator], batch: int, noise: int, width: int) -> Draws:
        family, rows = self.family(), []
        count = self.kl_samples if self.posterior == "gaussian" else self.batch
        for generator in generators:

            def normal(*shape: int, generator: torch.Generator = generator) -> Tensor:
                return torch.randn(*shape, generator=generator)

            def gumbel(*shape: int, generator: torch.Generator = generator) -> Tensor:
                uniform = torch.rand(*shape, generator=generator).clamp(1e-20, 1 - 1e-7)
                return -(-uniform.log()).log()

            row = {"z": normal(batch, width), "kl": normal(self.layers, count, width)}
            row["head"] = normal(batch, noise)
            if family.components:
                row["gumbel"] = gumbel(self.layers, batch, family.components)
                row["kl_gumbel"] = gumbel(self.layers, count, family.components)
            rows.append(row)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def fit(
        self,
        target: Classifier,
        prior: PriorNetworks,
        family: Posterior,
        parameters: DescentState,
        labels: Tensor,
        draws: Iterator[Any],
        journal: Journal,
        *,
        size: int,
    ) -> tuple[DescentState, Tensor]:
        """Return the fitted parameters and the mean (identity, prior) losses at `sampled` steps, (P, 2).

        parameters: one row per label (n,), on the device.  size: images put through the networks at once.
        """
        names = list(parameters)

        def step(state: DescentState, iteration: int, draw: Draws) -> tuple[DescentState, Losses]:
            leaves = {key: state[key].detach().requires_grad_(True) for key in names}
            latents = family.sample(leaves, draw)
            divergence = family.divergence(leaves, draw)
            slope, loss = self._attack(target, prior, latents.detach(), labels, draw["head"], size)
            total = (latents * slope).sum() + self.kl_weight * divergence.sum()
            gradients = torch.autograd.grad(total, [leaves[key] for key in names])
            following: DescentState = {}
            for key, gradient in zip(names, gradients, strict=True):
                velocity = self.momentum * state[f"velocity of {key}"] + gradient
                following[key] = state[key] - self.learning_rate * velocity
                following[f"velocity of {key}"] = velocity
            return following, (loss, divergence.sum().detach())

        state = parameters | {f"velocity of {key}": torch.zeros_like(parameters[key]) for key in names}
        state, losses = descend(step, state, len(labels), self.steps, [draws], journal)
        return {key: state[key] for key in names}, losses

    def _attack(
        self,
        target: Classifier,
        prior: PriorNetworks,
        latents: Tensor,
        labels: Tensor,
        noise: Tensor,
        size: int,
    ) -> Losses:
        """Return the gradient of the identity losses in `latents` (n, B, Y, Z), and their sum over rows."""
        batch = latents.shape[1]
        flat, noise = latents.flatten(2).flatten(0, 1), noise.flatten(0, 1)
        repeated = labels.repeat_interleave(batch)
        seen = self.aligned(guided(target, partial(smoothed_cross_entropy, smoothing=self.smoothing)))
        slopes, losses = [], []
        for first in range(0, len(flat), size):
            part = slice(first, first + size)
            leaf = flat[part].requires_grad_(True)
            loss = seen(prior.generator(leaf), repeated[part], noise[part]).sum() / batch
            slopes.append(torch.autograd.grad(loss, leaf)[0])
            losses.append(loss.detach())
        return torch.cat(slopes).reshape(latents.shape), torch.stack(losses).sum()
