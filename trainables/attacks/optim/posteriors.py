"""Families of distributions of latents that VMI fits: one Gaussian, a mixture of them, a flow."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainables.attacks.optim.descent import DescentState
from trainables.runtime.seeds import stream

Draws = dict[str, Tensor]
"""Draws of one step, standard normal: ``z`` (n, B, Z) for the images, ``kl`` (n, Y, M, Z) for the
divergence, ``head`` (n, B, size) for the target; with components C, from a Gumbel distribution:
``gumbel`` (n, Y, B, C) and ``kl_gumbel`` (n, Y, M, C). Y is the number of layers."""


class Gaussian:
    """q = N(m, L Lᵀ) per layer, full covariance; parameters m (n, Y, Z) and L (n, Y, Z, Z).

    The layers of an image share their draw.
    """

    components: ClassVar[int] = 0

    def initial(self, generators: list[torch.Generator], layers: int, size: int) -> DescentState:
        """Return the standard normal distribution, one row per generator: m (n, Y, Z) and L (n, Y, Z, Z)."""
        rows = len(generators)
        return {
            "m": torch.zeros(rows, layers, size),
            "L": torch.eye(size).repeat(rows, layers, 1, 1),
        }

    def sample(self, parameters: DescentState, draws: Draws) -> Tensor:
        """Return latents (n, B, Y, Z): m + z Lᵀ."""
        return self._at(parameters, draws["z"][:, None]).transpose(1, 2)

    def divergence(self, parameters: DescentState, draws: Draws) -> Tensor:
        """Return (n,), KL(q || N(0, I)) without its constant Z / 2, summed over layers.

        -½ ln det L Lᵀ + ½ mean ‖s‖² over the draws ``kl``; without draws the mean in closed form.
        """
        m, factor = parameters["m"], parameters["L"]
        if draws["kl"].shape[2]:
            square = self._at(parameters, draws["kl"]).square().sum(3).mean(2)
        else:
            square = m.square().sum(2) + factor.square().sum((2, 3))
        each: Tensor = 0.5 * square - torch.linalg.slogdet(factor).logabsdet
        return each.sum(1)

    @staticmethod
    def _at(parameters: DescentState, z: Tensor) -> Tensor:
        return parameters["m"][:, :, None] + z @ parameters["L"].mT


@dataclass(frozen=True)
class Mixture:
    """q = sum_c pi_c N(m_c, L_c L_cᵀ) per layer: m (n, Y, C, Z), L (n, Y, C, Z, Z), logits (n, Y, C) of pi.

    A component is chosen by a hard Gumbel softmax, temperature 1: the choice itself forward, the gradient of
    the soft weights backward.
    """

    components: int

    def initial(self, generators: list[torch.Generator], layers: int, size: int) -> DescentState:
        """Return components of covariance I whose means are drawn from N(0, I) / 2, equally likely."""
        means = [torch.randn(layers, self.components, size, generator=each) / 2 for each in generators]
        return {
            "m": torch.stack(means),
            "L": torch.eye(size).repeat(len(means), layers, self.components, 1, 1),
            "logits": torch.zeros(len(means), layers, self.components),
        }

    def sample(self, parameters: DescentState, draws: Draws) -> Tensor:
        """Return latents (n, B, Y, Z), one per row of the draws ``z`` (n, B, Z)."""
        return self._at(parameters, draws["z"][:, None], draws["gumbel"]).transpose(1, 2)

    def divergence(self, parameters: DescentState, draws: Draws) -> Tensor:
        """Return (n,): the mean over layers and draws of ln q(s) - ln N(s; 0, I).

        ln q has ln C taken off, as in the released code; that shifts the value and changes no gradient.
        """
        s = self._at(parameters, draws["kl"], draws["kl_gumbel"])
        factor = parameters["L"]
        away = (s[:, :, None] - parameters["m"][:, :, :, None]).mT  # (n, Y, C, Z, M)
        square = torch.linalg.solve(factor, away).square().sum(3)
        constant = s.shape[-1] / 2 * math.log(2 * math.pi)
        each = -0.5 * square - torch.linalg.slogdet(factor).logabsdet[..., None] - constant
        log_pi = parameters["logits"].log_softmax(2)[..., None]
        log_q = (each + log_pi).logsumexp(2) - math.log(self.components)
        log_p = -0.5 * s.square().sum(3) - constant
        mean: Tensor = (log_q - log_p).mean((1, 2))
        return mean

    @staticmethod
    def _at(parameters: DescentState, z: Tensor, gumbel: Tensor) -> Tensor:
        soft = (parameters["logits"][:, :, None] + gumbel).softmax(3)
        hard = functional.one_hot(soft.argmax(3), soft.shape[3]).to(soft.dtype)
        weights = hard + soft - soft.detach()
        each = parameters["m"][:, :, :, None] + z[:, :, None] @ parameters["L"].mT
        return torch.einsum("nybc,nycbz->nybz", weights, each)


@dataclass(frozen=True)
class Flow:
    """q is a normalizing flow of a standard normal per layer: `steps` additive couplings, then scales.

    A step permutes the numbers, adds to the second half what a net of two hidden layers makes of the first,
    and scales and shifts every number. It starts as a permutation, so q starts as N(0, I).
    """

    steps: int
    hidden: int
    seed: int

    components: ClassVar[int] = 0

    def initial(self, generators: list[torch.Generator], layers: int, size: int) -> DescentState:
        """Return the parameters, one row per generator, named by step: ``0.in`` (n, Y, Z // 2, hidden), ...

        A weight is (n, Y, fan in, fan out); a bias, a scale or a shift is (n, Y, 1, numbers).
        """
        half, rest = size // 2, size - size // 2
        rows: list[DescentState] = []
        for generator in generators:

            def uniform(fan_in: int, fan_out: int, generator: torch.Generator = generator) -> Tensor:
                drawn = torch.rand(layers, fan_in, fan_out, generator=generator)
                scaled: Tensor = (2 * drawn - 1) / math.sqrt(max(1, fan_in))
                return scaled

            row: DescentState = {}
            for step in range(self.steps):
                row |= {
                    f"{step}.in": uniform(half, self.hidden),
                    f"{step}.in_bias": torch.zeros(layers, 1, self.hidden),
                    f"{step}.mid": uniform(self.hidden, self.hidden),
                    f"{step}.mid_bias": torch.zeros(layers, 1, self.hidden),
                    f"{step}.out": torch.zeros(layers, self.hidden, rest),
                    f"{step}.out_bias": torch.zeros(layers, 1, rest),
                    f"{step}.scale": torch.zeros(layers, 1, size),
                    f"{step}.shift": torch.zeros(layers, 1, size),
                }
            rows.append(row)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def sample(self, parameters: DescentState, draws: Draws) -> Tensor:
        """Return latents (n, B, Y, Z), one per row of the draws ``z`` (n, B, Z)."""
        layers = parameters["0.scale"].shape[1]
        latents, _ = self._through(parameters, draws["z"][:, None].expand(-1, layers, -1, -1))
        return latents.transpose(1, 2)

    def divergence(self, parameters: DescentState, draws: Draws) -> Tensor:
        """Return (n,): the mean over layers and draws of ln q(s) - ln N(s; 0, I)."""
        base = draws["kl"]
        s, log_slope = self._through(parameters, base)
        return (0.5 * (s.square() - base.square()).sum(3).mean(2) - log_slope).mean(1)

    def _through(self, parameters: DescentState, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what becomes of x (n, Y, B, Z), and the log of the volume change (n, Y), of all points."""
        size, log_slope = x.shape[-1], x.new_zeros(())
        for step in range(self.steps):
            p = {name: parameters[f"{step}.{name}"] for name in ("in", "mid", "out", "scale", "shift")}
            bias = {name: parameters[f"{step}.{name}_bias"] for name in ("in", "mid", "out")}
            x = x[..., torch.randperm(size, generator=stream(self.seed, "vmi", "order", step)).to(x.device)]
            fixed, moved = x[..., : size // 2], x[..., size // 2 :]
            h = (fixed @ p["in"] + bias["in"]).relu()
            h = (h @ p["mid"] + bias["mid"]).relu()
            x = torch.cat((fixed, moved + h @ p["out"] + bias["out"]), -1) * p["scale"].exp() + p["shift"]
            log_slope = log_slope + p["scale"].sum((2, 3))
        return x, log_slope


Posterior = Gaussian | Mixture | Flow
