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
from trainables.nn.critic import Critic
from trainables.nn.dcgan import check_size, generator
from trainables.nn.inference import inference_copy
from trainables.nn.optimizers import adam, gradient_step
from trainables.priors.averaged import AveragedGAN
from trainables.priors.base import PriorNetworks, eval_mode
from trainables.runtime.run import Run
from trainables.runtime.upload import upload
from trainables.training.batches import shuffled

KERNELS, KERNEL_SIZE = 64, 50  # of the minibatch layer, as published
ENTROPY_WEIGHT = 1e-4


class MinibatchLayer(nn.Module):
    """Tells each row how near the others of its batch are (Salimans et al. 2016, section 3.2).

    o_b(x_i) = sum over j != i of exp(-|M_ib - M_jb|_1) with M_i = x_i T, T of (features, kernels, size).
    """

    def __init__(self, features: int, kernels: int = KERNELS, size: int = KERNEL_SIZE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, kernels, size))

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, features + kernels): the rows with their nearness to the others attached."""
        rows = features @ self.weight.flatten(1)
        rows = rows.view(-1, *self.weight.shape[1:]).transpose(0, 1)  # (kernels, n, size)
        # not `exp().sum() - 1`: a row's distance to itself is exactly 0, the rounding of a sum is not
        nearness = torch.cdist(rows, rows, p=1).neg().exp()
        apart = 1 - torch.eye(len(features), dtype=rows.dtype, device=rows.device)
        return torch.cat((features, (nearness * apart).sum(2).T), dim=1)


class InversionDiscriminator(Critic):
    """Classifies images into the target's labels; the log-sum of its scores says how real an image is.

    It compares the images of a batch with each other, so all scores depend on the company of an image.
    Width 64 at S = 64 is the published net: 18.9 M weights for 1000 labels.
    """

    compares_images: ClassVar[bool] = True

    def __init__(self, width: int, image_size: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, outputs = 3, width
        for _ in range(image_size.bit_length() - 4):  # S halved to 8x8, with ever more channels
            layers += [nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), *_normed(outputs)]
            inputs, outputs = outputs, outputs * 2
        layers += [nn.Conv2d(inputs, inputs, 3, stride=2, padding=1), *_normed(inputs)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.minibatch = MinibatchLayer(inputs * 16)
        self.head = nn.Linear(inputs * 16 + KERNELS, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return features (n, F), each of its own image alone; F = 4096 in the published net."""
        features: Tensor = self.layers(images)
        return features

    def logits(self, features: Tensor, group: int | None = None) -> Tensor:
        """Return logits (n, K). Rows are compared in groups of `group` neighbours, or all with all."""
        parts = [features] if group is None else features.split(group)  # type: ignore[no-untyped-call]
        logits: Tensor = self.head(torch.cat([self.minibatch(part) for part in parts]))
        return logits

    def forward(self, images: Tensor, group: int | None = None) -> Tensor:
        """Return the realism of images, (n,), unbounded: the log of the sum of exp(logits)."""
        return self.logits(self.features(images), group).logsumexp(1)


def _normed(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels, affine=True), nn.LeakyReLU(0.2)]


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
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Train both networks: a discriminator step per batch, a generator step every `critic_steps` batches.

    batches: of images with their soft labels (B, K), images to tell from fakes, and images whose features the
    generator matches; three draws of the same public images. Yields the label loss and the realism loss of
    the discriminator, and the generator's loss when it stepped (all detached). Adam, betas (0.5, 0.999).
    """
    critic_optimizer, generator_optimizer = adam(
        discriminator.parameters(), generator.parameters(), learning_rate=learning_rate, betas=(0.5, 0.999)
    )
    for number, (labelled, probabilities, unlabelled, matched) in enumerate(batches, start=1):
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

        Raises `ConfigError` without a target whose probabilities the attacker has.
        """
        if not isinstance(target, Classifier):
            raise ConfigError(
                f"prior 'kedmi' expects a Classifier as its target; got {type(target).__name__} (prior); "
                "train it for the target that it is to attack"
            )
        pixels = public.pixels.to(run.device)
        target = inference_copy(target, run.device)
        with head_noise(target, run.stream("prior", "labels")):
            probabilities = soft_labels(target, pixels)
        networks = self.untrained(pixels.shape[-1], probabilities.shape[1], run=run)
        assert isinstance(networks.discriminator, InversionDiscriminator)
        noise = run.stream("prior", "noise")
        steps = inversion_steps(
            networks.generator,
            networks.discriminator,
            self._batches(pixels, probabilities, run),
            lambda count: upload(torch.randn(count, self.latent_size, generator=noise), run.device),
            learning_rate=self.learning_rate,
            critic_steps=self.critic_steps,
        )
        losses = ((labelling + telling, loss) for labelling, telling, loss in steps)
        return eval_mode(self.fit(networks, losses, len(public), run=run))

    def _batches(
        self, pixels: Tensor, probabilities: Tensor, run: Run
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        orders = [run.stream("prior", "order", use) for use in ("labelled", "unlabelled", "matched")]
        for _ in range(self.epochs):
            drawn = [shuffled(len(pixels), self.batch_size, order) for order in orders]
            for parts in zip(*drawn, strict=True):
                labelled, unlabelled, matched = (upload(part, pixels.device) for part in parts)
                yield (
                    as_float(pixels[labelled]),
                    probabilities[labelled],
                    as_float(pixels[unlabelled]),
                    as_float(pixels[matched]),
                )
