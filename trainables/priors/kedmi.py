"""The prior of KEDMI: a GAN whose discriminator also learns what one target says of public images."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.datasets.base import Images, as_float
from trainables.errors import ConfigError
from trainables.nn.dcgan import check_size, generator
from trainables.nn.inference import inference_copy
from trainables.nn.inversion_discriminator import InversionDiscriminator
from trainables.nn.optimizers import adam, gradient_step
from trainables.oracle import ScoreOracle
from trainables.priors.averaged import AveragedGAN
from trainables.priors.base import PriorNetworks, TargetView, eval_mode
from trainables.priors.training_loop import Checkpoint, Order, Questions
from trainables.runtime.run import Run
from trainables.runtime.short_run import ShortRun, of_epochs
from trainables.runtime.upload import upload

ENTROPY_WEIGHT = 1e-4


def label_loss(logits: Tensor, probabilities: Tensor) -> Tensor:
    """Return the cross-entropy of soft labels (n, K), mean over images."""
    return functional.cross_entropy(logits, probabilities)


def realism_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return half of mean softplus(-L) over real and mean softplus(L) over fake realism L, each (n,)."""
    return (functional.softplus(-real).mean() + functional.softplus(fake).mean()) / 2


def generator_loss(fake_features: Tensor, real_features: Tensor, fake_logits: Tensor) -> Tensor:
    """Return how far the mean features (n, F) are apart, mean over F, plus 1e-4 of the fakes' entropy.

    The entropy of softmax(logits), in nats, is summed over the batch, as in the released code.
    """
    apart = (fake_features.mean(0) - real_features.mean(0)).abs().mean()
    entropy = -(fake_logits.softmax(1) * fake_logits.log_softmax(1)).sum()
    return apart + ENTROPY_WEIGHT * entropy


def inversion_steps(
    generator: nn.Module,
    discriminator: InversionDiscriminator,
    batches: Iterable[tuple[Tensor, Tensor, Tensor, Tensor]],
    draw_z: Callable[[int], Tensor],
    *,
    learning_rate: float,
    critic_steps: int,
    checkpoint: Checkpoint | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Train both networks: a discriminator step per batch, a generator step every `critic_steps` batches.

    batches: of images with their soft labels (B, K), images to tell from fakes, and images whose features the
    generator matches; three draws of the same public images. Yields the label loss and the realism loss of
    the discriminator, and the generator's loss when it stepped (all detached). Adam, betas (0.5, 0.999).
    checkpoint: holds all else of the training; `batches` are those after the steps done.
    """
    critic_optimizer, generator_optimizer = adam(
        discriminator.parameters(), generator.parameters(), learning_rate=learning_rate, betas=(0.5, 0.999)
    )
    checkpoint = checkpoint or Checkpoint()
    checkpoint.hold(critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer)
    numbered = enumerate(batches, start=checkpoint.done + 1)
    for number, (labelled, probabilities, unlabelled, matched) in numbered:
        with torch.no_grad():
            fake = generator(draw_z(len(labelled)))
        # three passes: images are compared only with those of their own batch
        labels, real, faked = (
            discriminator.logits(discriminator.features(images)) for images in (labelled, unlabelled, fake)
        )
        labelling = label_loss(labels, probabilities)
        telling = realism_loss(real.logsumexp(1), faked.logsumexp(1))
        gradient_step(critic_optimizer, labelling + telling)
        loss = None
        if number % critic_steps == 0:
            discriminator.requires_grad_(False)  # the generator's step needs no gradients of these weights
            features = discriminator.features(generator(draw_z(len(labelled))))
            loss = generator_loss(features, discriminator.features(matched), discriminator.logits(features))
            gradient_step(generator_optimizer, loss)
            discriminator.requires_grad_(True)
        yield labelling.detach(), telling.detach(), None if loss is None else loss.detach()


@torch.no_grad()
def soft_labels(target: Classifier, pixels: Tensor) -> Tensor:
    """Return the target's probabilities (N, K) of images (N, 3, S, S) in uint8, on its device."""
    return torch.cat([target(as_float(part)).softmax(1) for part in torch.split(pixels, 256)])


def asked_once(oracle: ScoreOracle, pixels: Tensor, run: Run) -> Tensor:
    """Return the oracle's probabilities (N, K) of images (N, 3, S, S) in uint8, on their device.

    They are kept beside the training, which asks no more after a kill: large, and the same to its end.
    """
    probabilities = torch.empty(len(pixels), oracle.classes, device=pixels.device)
    answers = Checkpoint(run, "answers", probabilities=probabilities, questions=Questions(oracle))
    if not answers.done:
        probabilities.copy_(torch.cat([oracle(as_float(part)) for part in torch.split(pixels, 256)]))
        answers.save(1)
    return probabilities


@dataclass(frozen=True, kw_only=True)
class KEDMIPrior(AveragedGAN):
    """KEDMI's inversion-specific GAN: Chen et al. 2021, "Knowledge-Enriched Distributional Model Inversion".

    Trained as the released code does, with one correction: there the target labels public images in train
    mode, so labels depend on the batch and its batch norms drift; here it is in eval mode, and labels each
    image once. The images that do not fill the last batch of an epoch are left out of it. The knobs are those
    of `AveragedGAN`; width 64 is the published net at 64 pixels (5.1 M weights, and 18.9 M of the
    discriminator of 1000 labels).
    """

    kind: ClassVar[str] = "kedmi"
    summary: ClassVar[str] = "GAN with a discriminator that learns the target's labels of public images"
    source: ClassVar[str] = "Chen et al., ICCV 2021 (KEDMI); Salimans et al., NeurIPS 2016 (minibatch layer)"
    threat_model: ClassVar[TargetView] = "scores"
    needs_target: ClassVar[bool] = True

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        """Return the untrained networks; `image_size` must be a power of two, at least 32."""
        check_size(self.kind, image_size)
        return PriorNetworks(
            generator(self.latent_size, self.width, image_size),
            InversionDiscriminator(self.width, image_size, 2 if classes is None else classes),
            self.latent_size,
        )

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        """Return the networks trained on all public images, as `target` labels them; see `Prior.train`.

        target: a `Classifier`, or a `ScoreOracle`. Raises `ConfigError` without a target whose probabilities
        the attacker has.
        """
        pixels = public.pixels.to(run.device)
        if isinstance(target, ScoreOracle):
            probabilities = asked_once(target, pixels, run)
        elif isinstance(target, Classifier):
            target = inference_copy(target, run.device)
            with head_noise(target, run.stream("prior", "labels")):
                probabilities = soft_labels(target, pixels)
        else:
            raise ConfigError(
                f"prior 'kedmi' expects a Classifier as its target; got {type(target).__name__} (prior); "
                "train it for the target that it is to attack"
            )
        networks = self.untrained(pixels.shape[-1], probabilities.shape[1], run=run)
        assert isinstance(networks.discriminator, InversionDiscriminator)
        noise = run.stream("prior", "noise")
        orders = {
            use: Order(len(pixels), self.batch_size, run.stream("prior", "order", use))
            for use in ("labelled", "unlabelled", "matched")
        }
        checkpoint = Checkpoint(
            run, generator=networks.generator, critic=networks.discriminator, noise=noise, **orders
        )

        def batches() -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
            for _ in range(checkpoint.done, self.steps(len(pixels))):
                labelled, unlabelled, matched = (upload(next(o), pixels.device) for o in orders.values())
                yield (
                    as_float(pixels[labelled]),
                    probabilities[labelled],
                    as_float(pixels[unlabelled]),
                    as_float(pixels[matched]),
                )

        steps = inversion_steps(
            networks.generator,
            networks.discriminator,
            batches(),
            lambda count: upload(torch.randn(count, self.latent_size, generator=noise), run.device),
            learning_rate=self.learning_rate,
            critic_steps=self.critic_steps,
            checkpoint=checkpoint,
        )
        losses = ((labelling + telling, loss) for labelling, telling, loss in steps)
        return eval_mode(self.fit(networks, losses, len(public), run=run, checkpoint=checkpoint))

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return runs of one and three epochs; every public image gets its labels once."""
        return of_epochs(self, few, public, asks=True)

    def queries(self, networks: PriorNetworks, public: int) -> int:
        """Return the images whose labels were asked for: each public one, once."""
        return public
