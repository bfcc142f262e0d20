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
from trainables.errors import ConfigError
from trainables.nn.augmentation import AUGMENTATION_DRAWS, random_augmentation
from trainables.nn.conditional_gan import ConditionalGenerator, ProjectionDiscriminator, check_size
from trainables.nn.identity_losses import max_margin
from trainables.nn.inference import inference_copy
from trainables.priors.base import PriorNetworks, TargetView, eval_mode
from trainables.priors.conditional import ConditionalGAN
from trainables.priors.training_loop import Checkpoint, Order
from trainables.runtime.checks import at_least
from trainables.runtime.run import Run
from trainables.runtime.short_run import ShortRun
from trainables.runtime.upload import upload


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
class PLGPrior(ConditionalGAN):
    """PLG-MI's conditional GAN: Yuan et al. 2023, "Pseudo Label-Guided Model Inversion Attack".

    Follows the released code: public images get the labels of the classes that the target is surest to see in
    them (`pseudo_labels`); a residual GAN with a projection discriminator is trained on them with the hinge
    loss, and the generator also with `guidance` times the max-margin loss of the target on one random view
    of what it makes. It needs the target's gradients. Latents end with the label, see
    `conditional_gan.ConditionalGenerator`.

    top: public images per class; published 30 for CelebA.  The other knobs are those of `ConditionalGAN`.
    The released code lets crop, flip and rotation of a view be two resamplings; see
    `random_augmentation`.
    """

    kind: ClassVar[str] = "plg"
    summary: ClassVar[str] = "conditional GAN on pseudo-labels, guided by the target's gradients"
    source: ClassVar[str] = "Yuan et al., AAAI 2023 (PLG-MI)"
    threat_model: ClassVar[TargetView] = "white-box"
    needs_target: ClassVar[bool] = True

    top: int = 30
    guidance: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "top")
        at_least(self, 0, "guidance")

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return runs of two and four iterations; every public image gets its labels once."""
        return ShortRun(
            first=replace(self, iterations=2),
            more=replace(self, iterations=4),
            times=max(0.0, self.iterations / 2 - 1),
            asked=public - few,
        )

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
        networks = self.untrained(public.pixels.shape[-1], classes, run=run)
        generator, critic = networks.generator, networks.discriminator
        order = Order(len(index), self.batch_size, run.stream("prior", "order"), goes_on=True)
        batches = self._batches(public, index, labels, order, run.device)
        checkpoint = Checkpoint(run, generator=generator, critic=critic, noise=noise, order=order)

        def generator_loss(latents: Tensor, labels: Tensor, _: int) -> Tensor:
            fake = generator(latents)
            draws = upload(torch.randn(len(fake), AUGMENTATION_DRAWS, generator=noise), run.device)
            with head_noise(target, noise):
                guided = max_margin(target(random_augmentation(fake, draws, 0.5)), labels).mean()
            loss: Tensor = -critic(fake, labels).mean() + self.guidance * guided
            return loss

        def critic_loss(fake: Tensor, labels: Tensor, _: int) -> Tensor:
            real, real_labels = next(batches)
            return hinge(critic(real, real_labels), critic(fake, labels))

        self.take_turns(networks, classes, generator_loss, critic_loss, noise, run=run, checkpoint=checkpoint)
        return eval_mode(networks)

    def _batches(
        self, public: Images, index: Tensor, labels: Tensor, order: Order, device: str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, for ever, shuffled labelled batches; pixels get up to one level of noise, as published."""
        for batch in order:
            images = as_float(public.pixels[index[batch]])
            images += torch.rand(images.shape, generator=order.generator) / 256
            yield upload(images, device), upload(labels[batch], device)


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Return mean max(0, 1 - real) + mean max(0, 1 + fake) of scores (n,)."""
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
