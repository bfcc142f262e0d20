"""The prior of PPA and MIRROR: a StyleGAN2, published or trained here on the public images."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.datasets.base import Images, as_float
from trainables.errors import ConfigError
from trainables.method import file_knob
from trainables.nn.crops import centre, resize
from trainables.nn.dcgan import update_ema
from trainables.nn.optimizers import adam, gradient_step
from trainables.nn.stylegan2.checkpoint import Shapes, load, shapes
from trainables.nn.stylegan2.discriminator import Discriminator, DiscriminatorShape, deviation
from trainables.nn.stylegan2.generator import Generator, GeneratorShape
from trainables.priors.base import Prior, PriorNetworks, TargetView, eval_mode
from trainables.priors.training_loop import Checkpoint, Order, train_loop
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.short_run import ShortRun
from trainables.runtime.upload import upload

MEAN_OVER = 4096  # styles that the mean style is taken over
PATH_EVERY = 4  # generator steps between two penalties of the path length, as published


class Pictures(nn.Module):
    """A StyleGAN2 generator as a prior: latents (N, Z) to images (N, 3, S, S) in [0, 1].

    Also a `BlockGenerator`. size: S; crop: side of the middle of an image that is used, or None for all.
    psi: truncation of the images of latents.  label: class of a conditional generator.
    """

    forward_methods: ClassVar[tuple[str, ...]] = (
        "forward",
        "synthesis",
        "finish",
    )  # see `trainables.nn.precision`

    def __init__(
        self, network: Generator, size: int, crop: int | None = None, psi: float = 1.0, label: int = 0
    ) -> None:
        super().__init__()
        self.network = network
        self.size, self.crop, self.psi, self.label = size, crop, psi, label

    def forward(self, z: Tensor) -> Tensor:
        """Return images in [0, 1], clipped."""
        return self.view(self.synthesis(self.truncate(self.style(z), self.psi))).clamp(0, 1)

    def style(self, z: Tensor) -> Tensor:
        """Return styles (n, W) of latents (n, Z)."""
        styles: Tensor = self.network.mapping(z, _one_hot(self.label, self.network.shape.label_size, z))
        return styles

    def truncate(self, style: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Return styles for all layers (n, L, W); see `StyleGenerator`."""
        return self.network.truncate(style, psi, cutoff)

    def synthesis(self, styles: Tensor) -> Tensor:
        """Return whole images (n, 3, R, R), not clipped, of styles (n, L, W) or (n, W)."""
        images: Tensor = self.network.synthesis(styles)
        return images / 2 + 0.5

    @property
    def depth(self) -> int:
        """Return how many blocks make an image; see `BlockGenerator`."""
        return self.network.synthesis.depth

    def advance(
        self, styles: Tensor, block: int, features: Tensor | None, picture: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return features and picture after block `block`; see `BlockGenerator`."""
        return self.network.synthesis.part(styles, block, block + 1, features, picture)

    def finish(self, styles: Tensor, block: int, features: Tensor | None, picture: Tensor | None) -> Tensor:
        """Return whole images (n, 3, R, R), not clipped, from block `block` on; see `BlockGenerator`."""
        images: Tensor = self.network.synthesis(styles, begin=block, features=features, picture=picture)
        return images / 2 + 0.5

    def view(self, images: Tensor) -> Tensor:
        """Return the middle of whole images at the size of the prior, (n, 3, S, S)."""
        return resize(images if self.crop is None else centre(images, self.crop), self.size)


class Realism(nn.Module):
    """A StyleGAN2 discriminator as a prior's: images (n, 3, S, S) in [0, 1] to scores (n,).

    Images of another size than the network's are resized to it; that does not bring back what `Pictures` cut
    off, so the scores mean most where nothing is.
    """

    def __init__(self, network: Discriminator, label: int = 0) -> None:
        super().__init__()
        self.network, self.label = network, label

    def forward(self, images: Tensor) -> Tensor:
        """Return scores, unbounded, higher is more real."""
        x = resize(images, self.network.shape.resolution) * 2 - 1
        scores: Tensor = self.network(x, _one_hot(self.label, self.network.shape.label_size, images))
        return scores


def _one_hot(label: int, classes: int, like: Tensor) -> Tensor | None:
    if classes == 0:
        return None
    labels = like.new_zeros(len(like), classes)
    labels[:, label] = 1
    return labels


def adversarial_steps(
    generator: Generator,
    discriminator: Discriminator,
    batches: Iterator[Tensor],
    draw_z: Callable[[int], Tensor],
    *,
    learning_rate: float,
    penalty: float,
    penalty_every: int,
    path_length: float = 0.0,
    checkpoint: Checkpoint | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Train both networks, one step each per batch (B, 3, S, S) in [-1, 1]; yield their losses, detached.

    The non-saturating logistic losses softplus(D(G(z))) + softplus(-D(x)) and softplus(-D(G(z))), Adam with
    betas (0, 0.99). Every `penalty_every` steps the discriminator's loss has penalty / 2 |∇D(x)|² times
    `penalty_every` (R1; StyleGAN2, section 3.1), every fourth the generator's that of the path length.
    Unlike the published loop, both networks use the images of the same latents.
    checkpoint: holds all else of the training; `batches` are those after the steps done.
    """
    critic_optimizer, generator_optimizer = adam(
        discriminator.parameters(), generator.parameters(), learning_rate=learning_rate, betas=(0.0, 0.99)
    )
    usual_length = next(generator.parameters()).new_zeros([])
    checkpoint = checkpoint or Checkpoint()
    checkpoint.hold(
        critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, usual_length=usual_length
    )
    for number, real in enumerate(batches, start=checkpoint.done):
        styles = generator.truncate(generator.mapping(draw_z(len(real))))
        fake = generator.synthesis(styles, "random")

        discriminator.requires_grad_(True)
        penalized = penalty > 0 and number % penalty_every == 0
        real.requires_grad_(penalized)
        scores = discriminator(real)
        loss = functional.softplus(-scores).mean() + functional.softplus(discriminator(fake.detach())).mean()
        total = loss
        if penalized:
            (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
            total = loss + slope.square().sum((1, 2, 3)).mean() * (penalty / 2 * penalty_every)
        gradient_step(critic_optimizer, total)

        discriminator.requires_grad_(False)  # the generator's step needs no gradients of its weights
        generator_loss = total = functional.softplus(-discriminator(fake)).mean()
        if path_length and number % PATH_EVERY == 0:
            lengths = path_lengths(fake, styles)
            usual_length.lerp_(lengths.detach().mean(), 0.01)
            total = total + (lengths - usual_length).square().mean() * (path_length * PATH_EVERY)
        gradient_step(generator_optimizer, total)
        yield loss.detach(), generator_loss.detach()


def path_lengths(images: Tensor, styles: Tensor) -> Tensor:
    """Return how far each image moves with its styles, (n,) (StyleGAN2, eq. 4): |J^T y|, y random.

    images: (n, 3, S, S), made of `styles` (n, L, W) with their graph.
    """
    direction = torch.randn_like(images) / images.shape[-1]
    (slope,) = torch.autograd.grad((images * direction).sum(), styles, create_graph=True)
    return slope.square().sum(2).mean(1).sqrt()


@torch.no_grad()
def mean_style(generator: Generator, z: Tensor) -> Tensor:
    """Return the mean style (W,) of latents (n, Z)."""
    style: Tensor = generator.mapping(z).mean(0)
    return style


@torch.no_grad()
def usual_deviation(discriminator: Discriminator, images: Tensor) -> Tensor:
    """Return the discriminator's batch statistic on `images` (n, 3, S, S) in [-1, 1], a mean over groups."""
    size = min(discriminator.shape.group, len(images))
    groups = torch.split(images[: len(images) // size * size], size)
    return torch.stack([deviation(discriminator.features(group), size)[0] for group in groups]).mean()


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Prior(Prior):
    """StyleGAN2: Karras et al. 2020, a published checkpoint or a small one trained here.

    path: a checkpoint of StyleGAN2-ADA in PyTorch (.pkl), or a .safetensors that ``sweeper prepare
        stylegan2`` made of one, as PPA uses; None trains on the public images. A pickle is not run.
    crop: side of the middle of the checkpoint's images that shows what the private images show (PPA: 800 of
        FFHQ's 1024 pixels), resized to the image size; None takes the whole image.
    label: class to draw, for a conditional checkpoint.
    psi: truncation of the images of latents; attacks in style space have their own.

    The rest is for a prior of our own:
    latent_size: of latents and of styles.  mapping_layers: between the two.
    width, widest: channels at full size, doubled at each halving up to `widest`.
    noise: noise images in every layer; they only blur what attacks look for, so they are off.
    epochs, batch_size, learning_rate: passes over the public images, half of them mirrored.
    penalty, penalty_every: weight and interval of R1.  path_length: weight of its penalty, published 2.
    averaging: half-life, in images, of the running average of the generator that is kept; shorter in the
        beginning, a tenth of the images seen.

    Departures from the published training, which takes days: both networks step on the images of the same
    latents; styles of two latents are not mixed; no adaptive augmentation. The discriminator's batch
    statistic, which compares images, is after training replaced by its usual value on public images (of the
    generator's own for a checkpoint), so that the score of an image is its own.
    """

    kind: ClassVar[str] = "stylegan2"
    summary: ClassVar[str] = "StyleGAN2, a published checkpoint or a small one trained on the public images"
    source: ClassVar[str] = "Karras et al., CVPR 2020 (StyleGAN2), NeurIPS 2020 (StyleGAN2-ADA)"
    threat_model: ClassVar[TargetView] = "nothing"
    needs_target: ClassVar[bool] = False

    path: str | None = file_knob(None)
    crop: int | None = None
    label: int = 0
    psi: float = 1.0
    latent_size: int = 64
    mapping_layers: int = 2
    width: int = 16
    widest: int = 64
    noise: bool = False
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 2.5e-3
    penalty: float = 0.1
    penalty_every: int = 16
    path_length: float = 0.0
    averaging: int = 3000

    def __post_init__(self) -> None:
        at_least(self, 1, "crop", "latent_size", "mapping_layers", "width", "widest", "epochs")
        at_least(self, 1, "penalty_every", "batch_size", "averaging")
        above(self, 0, "learning_rate")
        at_least(self, 0, "label", "psi", "penalty", "path_length")

    @property
    def drops_last_batch(self) -> bool:
        """Return whether it is trained here at all; a published one is taken as it is."""
        return not self.path

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return runs of one and three epochs; with a `path` the prior itself, which is only read."""
        return super().short_run(few, public, classes) if self.path is None else ShortRun(first=self)

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        """Return the untrained networks; without `path`, `image_size` must be a power of two from 32."""
        shapes = self._shapes(image_size)
        return self._wrap(Generator(shapes.generator), Discriminator(shapes.discriminator), image_size)

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        """Return the checkpoint's networks, or some trained on all public images; labels are not used."""
        image_size = public.pixels.shape[-1]
        if self.path is not None:
            return self._published(Path(self.path), image_size, run=run)
        networks = self.untrained(image_size, run=run)
        generator, discriminator = networks.generator.network, networks.discriminator.network
        assert isinstance(generator, Generator) and isinstance(discriminator, Discriminator)
        for network in (generator, discriminator):
            network.to(memory_format=torch.channels_last)
        latents = run.stream("prior", "noise")
        size = self._size(public)
        order = Order(len(public), size, run.stream("prior", "order"))
        total = self.epochs * (len(public) // size)
        checkpoint = Checkpoint(run, generator=generator, critic=discriminator, noise=latents, order=order)
        average = copy.deepcopy(generator)
        checkpoint.hold(average=average)

        def draw_z(count: int) -> Tensor:
            return upload(torch.randn(count, self.latent_size, generator=latents), run.device)

        steps = adversarial_steps(
            generator,
            discriminator,
            self._batches(public, order, total - checkpoint.done, run.device),
            draw_z,
            learning_rate=self.learning_rate,
            penalty=self.penalty,
            penalty_every=self.penalty_every,
            path_length=self.path_length,
            checkpoint=checkpoint,
        )

        def averaged() -> Iterator[Mapping[str, Tensor]]:
            for done, losses in enumerate(steps, start=checkpoint.done + 1):
                half_life = min(self.averaging, 0.1 * done * size)
                update_ema(average, generator, 0.5 ** (size / half_life))
                yield dict(zip(("critic_loss", "generator_loss"), losses, strict=True))

        train_loop(averaged(), total, run=run, checkpoint=checkpoint)
        average.mapping.w_avg.copy_(mean_style(average, draw_z(MEAN_OVER)))
        some = as_float(public.pixels[: 64 * self.batch_size].to(run.device)) * 2 - 1
        discriminator.b4.usual.copy_(usual_deviation(discriminator, some))
        return eval_mode(self._wrap(average, discriminator, image_size))

    def _shapes(self, image_size: int) -> Shapes:
        if self.path is not None:
            published = shapes(Path(self.path))
            shape = published.generator
            if self.crop is not None and self.crop > shape.resolution:
                raise ConfigError(
                    f"expected a crop of at most {shape.resolution}, the side of the checkpoint's images; "
                    f"got {self.crop} (crop); lower it"
                )
            if self.label >= max(1, shape.label_size):
                raise ConfigError(
                    f"expected a label from 0 to {max(1, shape.label_size) - 1}, the checkpoint's classes; "
                    f"got {self.label} (label)"
                )
            return published
        if image_size < 32 or image_size & (image_size - 1):
            raise ConfigError(
                f"prior 'stylegan2' expects an image_size that is a power of two from 32; got {image_size} "
                "(image_size); choose 32, 64 or 128, or a checkpoint (path)"
            )
        count = image_size.bit_length() - 2
        channels = tuple(min(self.widest, self.width * 2 ** (count - 1 - number)) for number in range(count))
        return Shapes(
            GeneratorShape(
                latent_size=self.latent_size,
                style_size=self.latent_size,
                channels=channels,
                mapping_layers=self.mapping_layers,
                noise=self.noise,
            ),
            DiscriminatorShape(channels=channels, group=math.gcd(4, self.batch_size)),
        )

    def _wrap(self, generator: Generator, discriminator: Discriminator, image_size: int) -> PriorNetworks:
        crop = None if self.path is None else self.crop
        return PriorNetworks(
            Pictures(generator, image_size, crop, self.psi, self.label),
            Realism(discriminator, self.label),
            generator.shape.latent_size,
        )

    def _published(self, path: Path, image_size: int, *, run: Run) -> PriorNetworks:
        self._shapes(image_size)  # checks the knobs that depend on the file
        run.report("prior", 0, 1)
        generator, discriminator = load(path).networks()
        networks = eval_mode(self._wrap(generator.to(run.device), discriminator.to(run.device), image_size))
        if discriminator.shape.group > 1:
            group = min(discriminator.shape.group, 4)
            z = torch.randn(2 * group, networks.latent_size, generator=run.stream("prior", "usual"))
            pictures = networks.generator
            assert isinstance(pictures, Pictures)
            with torch.no_grad():
                images = pictures.synthesis(pictures.truncate(pictures.style(z.to(run.device)))) * 2 - 1
            discriminator.b4.usual.copy_(usual_deviation(discriminator, images))
        run.report("prior", 1, 1)
        return networks

    def _size(self, public: Images) -> int:
        """Return how many images a batch holds: whole groups, or the one group that there is."""
        if len(public) >= self.batch_size:
            return self.batch_size
        return len(public) if len(public) < 4 else len(public) // 4 * 4

    def _batches(self, public: Images, order: Order, count: int, device: str) -> Iterator[Tensor]:
        for _ in range(count):
            images = as_float(upload(public.pixels[next(order)], device)) * 2 - 1
            drawn = torch.rand(order.batch_size, 1, 1, 1, generator=order.generator)
            images = torch.where(upload(drawn < 0.5, device), images.flip(3), images)
            yield images.contiguous(memory_format=torch.channels_last)
