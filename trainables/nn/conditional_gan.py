"""The residual GAN conditioned on an identity that PLG-MI and LOKT share."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from trainables.errors import ConfigError
from trainables.nn.critic import Critic
from trainables.runtime.upload import upload


class ClassBatchNorm(nn.Module):
    """Batch norm whose scale and shift depend on the label, at first one and zero."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Embedding(classes, channels, _weight=torch.ones(classes, channels))
        self.shift = nn.Embedding(classes, channels, _weight=torch.zeros(classes, channels))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return x (n, C, H, W), normalized, scaled and shifted by `labels` (n,)."""
        scaled: Tensor = self.norm(x) * self.scale(labels)[:, :, None, None]
        shifted: Tensor = scaled + self.shift(labels)[:, :, None, None]
        return shifted


class GeneratorBlock(nn.Module):
    """Doubles the side: class norm, ReLU, enlargement, convolution, twice; plus a 1x1 shortcut."""

    def __init__(self, classes: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ClassBatchNorm(classes, inputs), ClassBatchNorm(classes, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        _initialize(self.conv1, self.conv2, self.shortcut)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return (n, outputs, 2 H, 2 W) of x (n, inputs, H, W)."""
        h = self.conv1(_enlarge(self.norm1(x, labels).relu()))
        h = self.conv2(self.norm2(h, labels).relu())
        added: Tensor = h + self.shortcut(_enlarge(x))
        return added


class ConditionalGenerator(nn.Module):
    """Latents (n, Z + 1) -> images (n, 3, S, S) in [0, 1]; a latent is Z numbers and then its label.

    The label is rounded and brought into 0 .. K-1, so any numbers make an image. Width 64 at S = 64 is the
    published net but for its last activation: there tanh, while its real images lie in [0, 1]; here sigmoid.
    """

    def __init__(self, latent_size: int, width: int, image_size: int, classes: int) -> None:
        super().__init__()
        doublings = image_size.bit_length() - 3
        channels = width * 2**doublings
        self.classes, self.channels = classes, channels
        self.start = nn.Linear(latent_size, channels * 16)
        nn.init.xavier_uniform_(self.start.weight)
        self.blocks = nn.ModuleList(
            GeneratorBlock(classes, channels >> number, channels >> (number + 1))
            for number in range(doublings)
        )
        self.end = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 1), nn.Sigmoid())

    def forward(self, latents: Tensor) -> Tensor:
        """Return images (n, 3, S, S) of latents (n, Z + 1)."""
        labels = latents[:, -1].detach().round().clamp(0, self.classes - 1).long()
        h = self.start(latents[:, :-1]).reshape(len(latents), self.channels, 4, 4)
        for block in self.blocks:
            h = block(h, labels)
        image: Tensor = self.end(h)
        return image


class DiscriminatorBlock(nn.Module):
    """Halves the side: convolution, ReLU, convolution, average; plus a 1x1 shortcut; spectral norm on all.

    first: whether the input is an image; any other input passes a ReLU first.
    """

    def __init__(self, inputs: int, outputs: int, first: bool = False) -> None:
        super().__init__()
        middle = outputs if first else inputs
        convolutions = (
            nn.Conv2d(inputs, middle, 3, padding=1),
            nn.Conv2d(middle, outputs, 3, padding=1),
            nn.Conv2d(inputs, outputs, 1),
        )
        _initialize(*convolutions)
        self.first = first
        self.conv1, self.conv2, self.shortcut = (spectral_norm(each) for each in convolutions)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, H / 2, W / 2) of x (n, inputs, H, W)."""
        h = self.conv2(self.conv1(x if self.first else x.relu()).relu())
        halved: Tensor = functional.avg_pool2d(h, 2) + self.shortcut(functional.avg_pool2d(x, 2))
        return halved


class Trunk(nn.Module):
    """Images (n, 3, S, S) -> features (n, `size`): residual blocks, ReLU, sum over pixels."""

    def __init__(self, width: int, image_size: int) -> None:
        super().__init__()
        doublings = image_size.bit_length() - 3
        blocks = [DiscriminatorBlock(3, width, first=True)]
        blocks += [DiscriminatorBlock(width << n, width << (n + 1)) for n in range(doublings)]
        self.blocks = nn.Sequential(*blocks)
        self.size = width << doublings

    def forward(self, x: Tensor) -> Tensor:
        """Return features (n, size) of images (n, 3, S, S)."""
        feature: Tensor = self.blocks(x).relu().sum((2, 3))
        return feature


class ProjectionDiscriminator(nn.Module):
    """Images (n, 3, S, S), and their labels if given, -> scores (n,), unbounded, higher is more real.

    Score = w · f(x) + e_y · f(x) with an embedding e of labels (Miyato & Koyama 2018); without labels the
    first term alone, and without spectral norm's power iterations in eval mode.
    """

    def __init__(self, width: int, image_size: int, classes: int) -> None:
        super().__init__()
        self.trunk = Trunk(width, image_size)
        self.score = spectral_norm(_xavier(nn.Linear(self.trunk.size, 1)))
        self.embedding = spectral_norm(_xavier(nn.Embedding(classes, self.trunk.size)))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return scores (n,)."""
        feature = self.trunk(x)
        scores: Tensor = self.score(feature).squeeze(1)
        return scores if labels is None else scores + (self.embedding(labels) * feature).sum(1)


class ClassifyingDiscriminator(Critic):
    """Images (n, 3, S, S) -> scores (n,), higher is more real; its `classify` imitates a target's labels.

    surrogates: classifiers of images, logits (n, K), that were taught the target's labels too.
    queries: how many images the target was asked about for all that.
    """

    queries: Tensor

    def __init__(self, width: int, image_size: int, classes: int, surrogates: Sequence[nn.Module]) -> None:
        super().__init__()
        self.trunk = Trunk(width, image_size)
        self.score = spectral_norm(_xavier(nn.Linear(self.trunk.size, 1)))
        self.labels = spectral_norm(_xavier(nn.Linear(self.trunk.size, classes)))
        self.surrogates = nn.ModuleList(surrogates)
        self.register_buffer("queries", torch.zeros((), dtype=torch.int64))

    def stand_ins(self) -> list[nn.Module]:
        """Return the surrogates."""
        return list(self.surrogates)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (n,) and logits of labels (n, K)."""
        feature = self.trunk(x)
        return self.score(feature).squeeze(1), self.labels(feature)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n,)."""
        return self.both(x)[0]

    def classify(self, x: Tensor) -> Tensor:
        """Return logits of labels (n, K)."""
        return self.both(x)[1]


def check_size(kind: str, image_size: int) -> None:
    """Raise `ConfigError` unless `image_size` is a power of two from 32."""
    if image_size < 32 or image_size & (image_size - 1):
        raise ConfigError(
            f"prior '{kind}' expects an image_size that is a power of two from 32; got {image_size} "
            "(image_size); choose 32, 64 or 128"
        )


def with_labels(z: Tensor, labels: Tensor) -> Tensor:
    """Return the latents (n, Z + 1) of numbers z (n, Z) and labels (n,)."""
    return torch.cat((z, labels.to(z.dtype)[:, None]), 1)


def random_latents(
    count: int, size: int, classes: int, noise: torch.Generator, device: str
) -> tuple[Tensor, Tensor]:
    """Return `count` latents (n, size + 1), standard normal with uniform labels, and their labels (n,)."""
    z = torch.randn(count, size, generator=noise)
    labels = torch.randint(classes, (count,), generator=noise)
    return upload(with_labels(z, labels), device), upload(labels, device)


def gan_steps(
    iterations: int,
    critic_steps: int,
    generator_step: Callable[[int], Tensor],
    critic_step: Callable[[int], Tensor],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Run `iterations` of one generator step and then `critic_steps` critic steps, the published order.

    Both get the iteration, from 1, and return their loss; yields both losses after each iteration.
    """
    for iteration in range(1, iterations + 1):
        generator_loss = generator_step(iteration)
        for _ in range(critic_steps):
            critic_loss = critic_step(iteration)
        yield generator_loss, critic_loss


def _enlarge(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _initialize(conv1: nn.Conv2d, conv2: nn.Conv2d, shortcut: nn.Conv2d) -> None:
    for conv, gain in ((conv1, 2**0.5), (conv2, 2**0.5), (shortcut, 1.0)):
        nn.init.xavier_uniform_(conv.weight, gain)


def _xavier(layer: nn.Linear | nn.Embedding) -> nn.Module:
    nn.init.xavier_uniform_(layer.weight)
    return layer
