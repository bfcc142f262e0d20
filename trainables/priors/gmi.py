"""The prior of GMI: a 64-pixel WGAN-GP, here for any power-of-two image size from 32."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trainables.datasets.base import Images, as_float
from trainables.errors import TrialError
from trainables.nn.dcgan import check_size, generator, update_ema
from trainables.priors.base import Prior, PriorNetworks, eval_mode
from trainables.runtime.checks import above, at_least, fraction
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive, stream


def critic(width: int, image_size: int) -> nn.Module:
    """Return images (N, 3, S, S) -> scores (N,), unbounded; width 64 at S = 64 is the published net."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
    channels = width
    for _ in range(image_size.bit_length() - 4):
        layers += [
            nn.Conv2d(channels, channels * 2, 5, stride=2, padding=2),
            nn.InstanceNorm2d(channels * 2, affine=True),
            nn.LeakyReLU(0.2),
        ]
        channels *= 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4), nn.Flatten(0))


def critic_loss(
    critic: nn.Module, real: Tensor, fake: Tensor, alpha: Tensor, penalty_weight: float = 10.0
) -> Tensor:
    """Return -(mean D(real) - mean D(fake)) + penalty; WGAN-GP (Gulrajani et al. 2017, eq. 3).

    real, fake: (B, 3, S, S); alpha: (B, 1, 1, 1) in [0, 1], the place between real and fake where the
    gradient norm is drawn to 1.
    """
    between = (real + alpha * (fake - real)).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    loss: Tensor = critic(fake).mean() - critic(real).mean() + penalty_weight * penalty
    return loss


def adversarial_steps(
    generator: nn.Module,
    critic: nn.Module,
    batches: Iterator[Tensor],
    draw_z: Callable[[int], Tensor],
    draw_alpha: Callable[[int], Tensor],
    *,
    learning_rate: float,
    critic_steps: int,
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Train both networks, one critic step per batch and one generator step every `critic_steps` batches.

    Yields the critic's and, when it stepped, the generator's loss (detached). Adam, betas (0.5, 0.999).
    """
    critic_optimizer, generator_optimizer = (
        torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(0.5, 0.999))
        for network in (critic, generator)
    )
    for number, real in enumerate(batches, start=1):
        with torch.no_grad():
            fake = generator(draw_z(len(real)))
        loss = critic_loss(critic, real, fake, draw_alpha(len(real)))
        critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        critic_optimizer.step()
        generator_loss = None
        if number % critic_steps == 0:
            critic.requires_grad_(False)  # the generator's step needs no gradients of the critic's weights
            generator_loss = -critic(generator(draw_z(len(real)))).mean()
            generator_optimizer.zero_grad(set_to_none=True)
            generator_loss.backward()  # type: ignore[no-untyped-call]
            generator_optimizer.step()
            critic.requires_grad_(True)
        yield loss.detach(), None if generator_loss is None else generator_loss.detach()


@dataclass(frozen=True, kw_only=True)
class GMIPrior(Prior):
    """GMI's WGAN-GP: Zhang et al. 2020, "The Secret Revealer", trained as the released code does.

    The released code has learning rate 2e-4 and no diversity term. `averaging` is a departure, off by
    default: a short training gives clearer images from the average of its late generators than from the last.

    width: channels before the last layer; 64 is the published net at 64 pixels (5.1 M and 4.3 M weights).
    epochs: passes over the public images, one critic step per batch.
    critic_steps: critic steps per generator step.
    averaging: decay, per generator step, of the running average of the generator's weights that is kept;
        0 keeps the last weights. It starts over from the weights after a tenth of the steps.
    """

    kind: ClassVar[str] = "gmi"
    summary: ClassVar[str] = "WGAN-GP generator and critic with 5x5 convolutions"
    source: ClassVar[str] = "Zhang et al., CVPR 2020 (GMI); Gulrajani et al., NeurIPS 2017 (WGAN-GP)"
    needs_target: ClassVar[bool] = False

    latent_size: int = 100
    width: int = 64
    epochs: int = 280
    batch_size: int = 64
    learning_rate: float = 2e-4
    critic_steps: int = 5
    averaging: float = 0.0

    def __post_init__(self) -> None:
        at_least(self, 1, "latent_size", "width", "epochs", "critic_steps")
        at_least(self, 2, "batch_size")  # batch norm needs two
        above(self, 0, "learning_rate")
        if self.averaging:
            fraction(self, "averaging")

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        """Return the untrained networks; `image_size` must be a power of two, at least 32."""
        check_size(self.kind, image_size)
        return PriorNetworks(
            generator(self.latent_size, self.width, image_size),
            critic(self.width, image_size),
            self.latent_size,
        )

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        """Return the networks trained on all public images; their labels are not used."""
        torch.manual_seed(derive(run.seed, "prior", "weights"))
        networks = self.build(public.pixels.shape[-1])
        networks.generator.to(run.device).train()
        networks.discriminator.to(run.device).train()
        noise = run.stream("prior", "noise")

        def draw_z(count: int) -> Tensor:
            return torch.randn(count, self.latent_size, generator=noise).to(run.device)

        def draw_alpha(count: int) -> Tensor:
            return torch.rand(count, 1, 1, 1, generator=noise).to(run.device)

        steps = adversarial_steps(
            networks.generator,
            networks.discriminator,
            self._batches(public, run.seed, run.device),
            draw_z,
            draw_alpha,
            learning_rate=self.learning_rate,
            critic_steps=self.critic_steps,
        )
        total = self.epochs * max(1, len(public) // self.batch_size)
        average = copy.deepcopy(networks.generator) if self.averaging else networks.generator
        for done, (critic_value, generator_value) in enumerate(steps, start=1):
            if generator_value is not None and self.averaging:
                update_ema(average, networks.generator, self.averaging if done > total // 10 else 0.0)
            if generator_value is not None or done == total:
                value = critic_value.item()
                if value != value:
                    raise TrialError(f"the prior's critic loss is not a number at step {done} of {total}")
                run.report("prior", done, total, critic_loss=value)
        return eval_mode(replace(networks, generator=average))

    def _batches(self, public: Images, seed: int, device: str) -> Iterator[Tensor]:
        order = stream(seed, "prior", "order")
        size = min(self.batch_size, len(public))
        for _ in range(self.epochs):
            shuffled = torch.randperm(len(public), generator=order)
            for first in range(0, len(public) - size + 1, size):
                yield as_float(public.pixels[shuffled[first : first + size]].to(device))
