"""Conditional GANs of PLG-MI and LOKT: their knobs, and the steps that take turns."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.nn.conditional_gan import gan_steps, random_latents
from trainables.nn.optimizers import adam, gradient_step
from trainables.priors.base import Prior, PriorNetworks
from trainables.priors.training_loop import Checkpoint, train_loop
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run

# the loss of a step, of latents or images (B, …), their labels (B,) and the iteration, from 1
Loss = Callable[[Tensor, Tensor, int], Tensor]


@dataclass(frozen=True, kw_only=True)
class ConditionalGAN(Prior):
    """Knobs that both share.

    width: channels at full resolution; 64 at 64 pixels is the published net.
    iterations: generator steps, each with `critic_steps` steps of the discriminator, batch `batch_size`.
    """

    latent_size: int = 128
    width: int = 64
    iterations: int = 30_000
    critic_steps: int = 5
    batch_size: int = 64
    learning_rate: float = 2e-4

    def __post_init__(self) -> None:
        at_least(self, 1, "latent_size", "width", "iterations", "critic_steps")
        at_least(self, 2, "batch_size")  # batch norm needs two
        above(self, 0, "learning_rate")

    @property
    def drops_last_batch(self) -> bool:
        """Return False: a batch goes on where a pass over the images ends."""
        return False

    def take_turns(
        self,
        networks: PriorNetworks,
        classes: int,
        generator_loss: Loss,
        critic_loss: Loss,
        noise: torch.Generator,
        *,
        run: Run,
        checkpoint: Checkpoint,
        critic_weights: list[nn.Parameter] | None = None,
        units: int | None = None,
    ) -> None:
        """Train both networks in place with Adam, betas 0 and 0.9, on generated images of random labels.

        generator_loss: of latents; the discriminator's weights have no gradients meanwhile.
        critic_loss: of generated images.  critic_weights: those that it moves; by default all.
        checkpoint, units: as in `train_loop`; it holds both networks, `noise`, and what the losses draw from.
        """
        generator, critic = networks.generator, networks.discriminator
        generator_optimizer, critic_optimizer = adam(
            generator.parameters(),
            critic.parameters() if critic_weights is None else critic_weights,
            learning_rate=self.learning_rate,
            betas=(0.0, 0.9),
        )
        checkpoint.hold(generator_optimizer=generator_optimizer, critic_optimizer=critic_optimizer)
        begin = checkpoint.done

        def latents() -> tuple[Tensor, Tensor]:
            return random_latents(self.batch_size, self.latent_size, classes, noise, run.device)

        def generator_step(iteration: int) -> Tensor:
            critic.requires_grad_(False)  # no gradients of weights that this step does not move
            loss = generator_loss(*latents(), begin + iteration)
            gradient_step(generator_optimizer, loss)
            critic.requires_grad_(True)
            return loss.detach()

        def critic_step(iteration: int) -> Tensor:
            z, labels = latents()
            with torch.no_grad():
                fake = generator(z)
            loss = critic_loss(fake, labels, begin + iteration)
            gradient_step(critic_optimizer, loss)
            return loss.detach()

        def steps() -> Iterator[Mapping[str, Tensor]]:
            left = self.iterations - begin
            for losses in gan_steps(left, self.critic_steps, generator_step, critic_step):
                yield dict(zip(("generator_loss", "critic_loss"), losses, strict=True))

        train_loop(steps(), self.iterations, run=run, units=units, checkpoint=checkpoint)
