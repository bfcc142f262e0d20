"""The prior of PLG-MI: a GAN conditioned on the identity, taught by the target."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.datasets.base import Images, as_float
from trainables.errors import ConfigError, TrialError
from trainables.nn.augmentation import AUGMENTATION_DRAWS, random_augmentation
from trainables.nn.conditional_gan import (
    ConditionalGenerator,
    ProjectionDiscriminator,
    check_size,
    gan_steps,
    random_latents,
)
from trainables.nn.identity_losses import max_margin
from trainables.nn.inference import inference_copy
from trainables.priors.base import Prior, PriorNetworks, eval_mode
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive, stream


@torch.no_grad()
def pseudo_labels(
    target: Classifier, public: Images, top: int, noise: torch.Generator, device: str
) -> tuple[Tensor, Tensor]:
    """Return indices of public images and the label each stands for, (K · top,) each, class by class.

    A class gets the `top` images to which the target gives the highest probability of it, so an image may
    stand for several classes (Yuan et al. 2023, top-n selection). With fewer images, all of them.
    """
    scores = []
    with head_noise(target, noise):
        for pixels in torch.split(public.pixels, 256):
            scores.append(target(as_float(pixels.to(device))).softmax(1).cpu())
    each = torch.cat(scores)
    best = each.topk(min(top, len(each)), dim=0).indices.T  # (K, top)
    labels = torch.arange(each.shape[1])[:, None].expand_as(best)
    return best.flatten(), labels.flatten()


@dataclass(frozen=True, kw_only=True)
class PLGPrior(Prior):
    """PLG-MI's conditional GAN: Yuan et al. 2023, "Pseudo Label-Guided Model Inversion Attack".

    Follows the released code: public images get the labels of the classes that the target is surest to see in
    them (`pseudo_labels`); a residual GAN with a projection discriminator is trained on them with the hinge
    loss, and the generator also with `guidance` times the max-margin loss of the target on one random view
    of what it makes. It needs the target's gradients. Latents end with the label, see
    `conditional_gan.ConditionalGenerator`.

    width: channels at full resolution; 64 at 64 pixels is the published net.
    top: public images per class; published 30 for CelebA.
    iterations: generator steps, each with `critic_steps` steps of the discriminator, batch `batch_size`.
    The released code lets crop, flip and rotation of a view be two resamplings; see
    `random_augmentation`.
    """

    kind: ClassVar[str] = "plg"
    summary: ClassVar[str] = "conditional GAN on pseudo-labels, guided by the target's gradients"
    source: ClassVar[str] = "Yuan et al., AAAI 2023 (PLG-MI)"
    needs_target: ClassVar[bool] = True

    latent_size: int = 128
    width: int = 64
    top: int = 30
    guidance: float = 0.2
    iterations: int = 30_000
    critic_steps: int = 5
    batch_size: int = 64
    learning_rate: float = 2e-4

    def __post_init__(self) -> None:
        at_least(self, 1, "latent_size", "width", "top", "iterations", "critic_steps")
        at_least(self, 2, "batch_size")  # batch norm needs two
        at_least(self, 0, "guidance")
        above(self, 0, "learning_rate")

    @property
    def drops_last_batch(self) -> bool:
        """Return False: a batch goes on where a pass over the images ends."""
        return False

    def short_run(self) -> tuple["PLGPrior", float]:
        """Return a run of two iterations, and how often it goes into the whole: to price it."""
        return replace(self, iterations=2), self.iterations / 2

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        """Return the untrained networks; `image_size` must be a power of two, at least 32."""
        check_size(self.kind, image_size)
        count = 2 if classes is None else classes
        return PriorNetworks(
            ConditionalGenerator(self.latent_size, self.width, image_size, count),
            ProjectionDiscriminator(self.width, image_size, count),
            self.latent_size + 1,
        )

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        """Return the networks trained on all public images, as `target` sees them; see `Prior.train`."""
        if not isinstance(target, Classifier):
            raise ConfigError(
                f"prior 'plg' expects a Classifier as its target; got {type(target).__name__} (prior); train "
                "it for a target whose gradients the attacker has"
            )
        target = inference_copy(target, run.device)
        noise = run.stream("prior", "noise")
        index, labels = pseudo_labels(target, public, self.top, run.stream("prior", "labels"), run.device)
        classes = int(labels.max()) + 1
        torch.manual_seed(derive(run.seed, "prior", "weights"))
        networks = self.build(public.pixels.shape[-1], classes)
        generator, critic = (
            networks.generator.to(run.device).train(),
            networks.discriminator.to(run.device).train(),
        )
        generator_optimizer, critic_optimizer = (
            torch.optim.Adam(network.parameters(), lr=self.learning_rate, betas=(0.0, 0.9))
            for network in (generator, critic)
        )
        batches = self._batches(public, index, labels, run.seed, run.device)

        def generator_step(_: int) -> Tensor:
            latents, wanted = random_latents(self.batch_size, self.latent_size, classes, noise, run.device)
            critic.requires_grad_(False)  # no gradients of weights that this step does not move
            fake = generator(latents)
            seen = random_augmentation(
                fake, torch.randn(len(fake), AUGMENTATION_DRAWS, generator=noise).to(run.device), 0.5
            )
            with head_noise(target, noise):
                guided = max_margin(target(seen), wanted).mean()
            loss: Tensor = -critic(fake, wanted).mean() + self.guidance * guided
            generator_optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            generator_optimizer.step()
            critic.requires_grad_(True)
            return loss.detach()

        def critic_step(_: int) -> Tensor:
            real, real_labels = next(batches)
            latents, wanted = random_latents(self.batch_size, self.latent_size, classes, noise, run.device)
            with torch.no_grad():
                fake = generator(latents)
            loss = hinge(critic(real, real_labels), critic(fake, wanted))
            critic_optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            critic_optimizer.step()
            return loss.detach()

        def progress(iteration: int, generator_loss: Tensor, critic_loss: Tensor) -> None:
            if iteration % 20 == 0 or iteration == self.iterations:
                values = {"generator_loss": generator_loss.item(), "critic_loss": critic_loss.item()}
                if any(value != value for value in values.values()):
                    raise TrialError(
                        f"the prior's losses are not numbers at step {iteration} of {self.iterations}"
                    )
                run.report("prior", iteration, self.iterations, **values)

        gan_steps(self.iterations, self.critic_steps, generator_step, critic_step, progress)
        return eval_mode(networks)

    def _batches(
        self, public: Images, index: Tensor, labels: Tensor, seed: int, device: str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, for ever, shuffled labelled batches; pixels get up to one level of noise, as published."""
        order = stream(seed, "prior", "order")
        waiting = torch.empty(0, dtype=torch.int64)
        while True:
            while len(waiting) < self.batch_size:
                waiting = torch.cat((waiting, torch.randperm(len(index), generator=order)))
            taken, waiting = waiting[: self.batch_size], waiting[self.batch_size :]
            images = as_float(public.pixels[index[taken]])
            images += torch.rand(images.shape, generator=order) / 256
            yield images.to(device), labels[taken].to(device)


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Return mean max(0, 1 - real) + mean max(0, 1 + fake) of scores (n,)."""
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
