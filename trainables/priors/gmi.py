"""The prior of GMI: a 64-pixel WGAN-GP, here for any power-of-two image size from 32."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trainables.datasets.base import Images, as_float
from trainables.nn.dcgan import check_size, generator
from trainables.nn.optimizers import adam, gradient_step
from trainables.priors.averaged import AveragedGAN
from trainables.priors.base import PriorNetworks, TargetView, eval_mode
from trainables.priors.training_loop import Checkpoint, Order
from trainables.runtime.run import Run
from trainables.runtime.upload import upload


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
    checkpoint: Checkpoint | None = None,
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Train both networks, one critic step per batch and one generator step every `critic_steps` batches.

    Yields the critic's and, when it stepped, the generator's loss (detached). Adam, betas (0.5, 0.999).
    checkpoint: holds all else of the training; `batches` are those after the steps done.
    """
    critic_optimizer, generator_optimizer = adam(
        critic.parameters(), generator.parameters(), learning_rate=learning_rate, betas=(0.5, 0.999)
    )
    checkpoint = checkpoint or Checkpoint()
    checkpoint.hold(critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer)
    for number, real in enumerate(batches, start=checkpoint.done + 1):
        with torch.no_grad():
            fake = generator(draw_z(len(real)))
        loss = critic_loss(critic, real, fake, draw_alpha(len(real)))
        gradient_step(critic_optimizer, loss)
        generator_loss = None
        if number % critic_steps == 0:
            critic.requires_grad_(False)  # the generator's step needs no gradients of the critic's weights
            generator_loss = -critic(generator(draw_z(len(real)))).mean()
            gradient_step(generator_optimizer, generator_loss)
            critic.requires_grad_(True)
        yield loss.detach(), None if generator_loss is None else generator_loss.detach()


@dataclass(frozen=True, kw_only=True)
class GMIPrior(AveragedGAN):
    """GMI's WGAN-GP: Zhang et al. 2020, "The Secret Revealer", trained as the released code does.

    The released code has learning rate 2e-4 and no diversity term. The knobs are those of `AveragedGAN`;
    width 64 is the published net at 64 pixels (5.1 M and 4.3 M weights).
    """

    kind: ClassVar[str] = "gmi"
    summary: ClassVar[str] = "WGAN-GP generator and critic with 5x5 convolutions"
    source: ClassVar[str] = "Zhang et al., CVPR 2020 (GMI); Gulrajani et al., NeurIPS 2017 (WGAN-GP)"
    threat_model: ClassVar[TargetView] = "nothing"
    needs_target: ClassVar[bool] = False

    epochs: int = 280

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
        networks = self.untrained(public.pixels.shape[-1], run=run)
        noise = run.stream("prior", "noise")
        order = Order(len(public), self.batch_size, run.stream("prior", "order"))
        checkpoint = Checkpoint(
            run, generator=networks.generator, critic=networks.discriminator, noise=noise, order=order
        )

        def draw_z(count: int) -> Tensor:
            return upload(torch.randn(count, self.latent_size, generator=noise), run.device)

        def draw_alpha(count: int) -> Tensor:
            return upload(torch.rand(count, 1, 1, 1, generator=noise), run.device)

        def batches() -> Iterator[Tensor]:
            for _ in range(checkpoint.done, self.steps(len(public))):
                yield as_float(upload(public.pixels[next(order)], run.device))

        steps = adversarial_steps(
            networks.generator,
            networks.discriminator,
            batches(),
            draw_z,
            draw_alpha,
            learning_rate=self.learning_rate,
            critic_steps=self.critic_steps,
            checkpoint=checkpoint,
        )
        return eval_mode(self.fit(networks, steps, len(public), run=run, checkpoint=checkpoint))
