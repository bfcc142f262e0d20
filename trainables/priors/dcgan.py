"""A DCGAN from a file, in the layout of PyTorch's DCGAN tutorial; its sizes are read off the weights."""

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.method import file_knob
from trainables.nn.critic import NoDiscriminator
from trainables.priors.base import Prior, PriorNetworks, TargetView, eval_mode
from trainables.runtime.run import Run
from trainables.runtime.short_run import ShortRun
from trainables.storage.weights import listed, read_weights

KERNEL = 4
GENERATOR, DISCRIMINATOR = "prior.path", "prior.discriminator"
Shape = tuple[int, ...]
LAYOUT = {
    GENERATOR: "transposed convolutions of 4 x 4 pixels without bias at 0, 3, 6, …, batch norm between them",
    DISCRIMINATOR: "convolutions of 4 x 4 pixels without bias at 0, 2, 5, 8, …, batch norm between them",
}


class Pictures(nn.Module):
    """Latents (n, Z) -> images (n, 3, S, S) in [0, 1], resized where the network's own have another size."""

    def __init__(self, layers: list[nn.Module], image_size: int) -> None:
        super().__init__()
        self.main, self.size = nn.Sequential(*layers), image_size

    def forward(self, latents: Tensor) -> Tensor:
        """Return the images."""
        return resized((self.main(latents[:, :, None, None]) + 1) / 2, self.size)


class Realism(nn.Module):
    """Images (n, 3, S, S) in [0, 1] -> the discriminator's logits (n,); its sigmoid is left out."""

    def __init__(self, layers: list[nn.Module], own_size: int) -> None:
        super().__init__()
        self.main, self.own_size = nn.Sequential(*layers), own_size

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores."""
        scores: Tensor = self.main(resized(images, self.own_size) * 2 - 1).flatten()
        return scores


def resized(images: Tensor, size: int) -> Tensor:
    """Return images (n, 3, S, S) with sides of `size` pixels, by area where they shrink."""
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, size=(size, size), mode="bilinear", antialias=True).clamp(0, 1)


@dataclass(frozen=True, kw_only=True)
class DCGANPrior(Prior):
    """DCGAN: Radford et al. 2016, a generator trained elsewhere; nothing is trained here.

    Any in the layout of PyTorch's DCGAN tutorial: ``main.0``, ``main.1``, … under any prefix, latents
    standard normal, images in [-1, 1]. Latent size, width and image size follow from the weights; images of
    another size than the study's are resized.

    path: a safetensors file, or what torch saved, which is read weights-only.
    discriminator: the same of its discriminator; without one, no attack that asks how real an image is.
    """

    kind: ClassVar[str] = "dcgan"
    summary: ClassVar[str] = "a generator from a file, in the layout of PyTorch's DCGAN tutorial"
    source: ClassVar[str] = "Radford et al., ICLR 2016 (DCGAN); PyTorch tutorials (layout)"
    threat_model: ClassVar[TargetView] = "nothing"
    measures_fit: ClassVar[bool] = True

    path: str = file_knob()
    discriminator: str | None = file_knob(None)

    @property
    def drops_last_batch(self) -> bool:
        """Return that nothing is trained."""
        return False

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return the prior itself: it is only read."""
        return ShortRun(first=self)

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        """Return the networks with random weights; raise `ConfigError` if a file is no such network."""
        shapes = _shapes_of(self.path, GENERATOR)
        realism: nn.Module = NoDiscriminator()
        if self.discriminator is not None:
            layers = discriminator_layers(_shapes_of(self.discriminator, DISCRIMINATOR), self.discriminator)
            realism = Realism(layers, KERNEL * 2 ** (_convolutions(layers) - 1))
        pictures = Pictures(generator_layers(shapes, self.path), image_size)
        return PriorNetworks(pictures, realism, shapes["0.weight"][0])

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        """Return the networks with the files' weights; `public` gives the image size alone."""
        run.report("prior", 0, 1)
        networks = self.build(public.pixels.shape[-1])
        files = [(networks.generator, self.path, GENERATOR)]
        if self.discriminator is not None:
            files.append((networks.discriminator, self.discriminator, DISCRIMINATOR))
        for network, path, where in files:
            assert isinstance(network.main, nn.Module)
            network.main.load_state_dict(read_weights(Path(path), where))
            network.to(run.device)
        run.report("prior", 1, 1)
        return eval_mode(networks)


def generator_layers(shapes: Mapping[str, Shape], path: str) -> list[nn.Module]:
    """Return the tutorial's generator of weights of these `shapes`, with random weights."""
    count = sum(len(shape) == 4 for shape in shapes.values())
    layers: list[nn.Module] = []
    for number in range(count):
        inputs, outputs = _channels(shapes, 3 * number, path, GENERATOR)
        stride, padding = (1, 0) if number == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(inputs, outputs, KERNEL, stride, padding, bias=False))
        layers += [nn.Tanh()] if number == count - 1 else [nn.BatchNorm2d(outputs), nn.ReLU()]
    _check(layers, shapes, path, GENERATOR)
    return layers


def discriminator_layers(shapes: Mapping[str, Shape], path: str) -> list[nn.Module]:
    """Return the tutorial's discriminator but for its sigmoid, with random weights."""
    count = sum(len(shape) == 4 for shape in shapes.values())
    layers: list[nn.Module] = []
    for number in range(count):
        outputs, inputs = _channels(shapes, len(layers), path, DISCRIMINATOR)
        stride, padding = (1, 0) if number == count - 1 else (2, 1)
        layers.append(nn.Conv2d(inputs, outputs, KERNEL, stride, padding, bias=False))
        if 0 < number < count - 1:
            layers.append(nn.BatchNorm2d(outputs))
        if number < count - 1:
            layers.append(nn.LeakyReLU(0.2))
    _check(layers, shapes, path, DISCRIMINATOR)
    return layers


def _channels(shapes: Mapping[str, Shape], place: int, path: str, where: str) -> tuple[int, int]:
    """Return the first two sizes of the convolution at `place`."""
    shape = shapes.get(f"{place}.weight", ())
    if len(shape) != 4:
        _refuse(f"no convolution at {place}.weight; names in it: {listed(list(shapes))}", path, where)
    return shape[0], shape[1]


def _check(layers: list[nn.Module], shapes: Mapping[str, Shape], path: str, where: str) -> None:
    """Raise `ConfigError` unless `layers` have weights of exactly these shapes, from or to 3 colours."""
    expected = {name: tuple(value.shape) for name, value in nn.Sequential(*layers).state_dict().items()}
    other = [
        f"{name} {shapes.get(name, 'missing')} instead of {expected.get(name, 'nothing')}"
        for name in {**expected, **shapes}
        if shapes.get(name) != expected.get(name)
    ]
    if other or len(layers) < 2:
        _refuse(listed(other) or "no network", path, where)
    ends = [module for module in layers if isinstance(module, nn.ConvTranspose2d | nn.Conv2d)]
    for before, after in itertools.pairwise(ends):
        if before.out_channels != after.in_channels:
            _refuse(f"{before.out_channels} channels that {after.in_channels} follow", path, where)
    sizes = (ends[-1].out_channels,) if where == GENERATOR else (ends[0].in_channels, ends[-1].out_channels)
    needed = (3,) if where == GENERATOR else (3, 1)
    if sizes != needed:
        _refuse(f"{sizes} channels at its ends instead of {needed}", path, where)


def _refuse(got: str, path: str, where: str) -> None:
    raise ConfigError(
        f"expected the weights of a network in the layout of PyTorch's DCGAN tutorial in {path} ({where}): "
        f"{LAYOUT[where]}, RGB; got {got}; give the state dict of such a network"
    )


def _convolutions(layers: list[nn.Module]) -> int:
    return sum(isinstance(layer, nn.Conv2d) for layer in layers)


def _shapes_of(path: str, where: str) -> dict[str, Shape]:
    file = Path(path)
    status = file.stat() if file.is_file() else None
    return dict(_read_shapes(path, where, None if status is None else (status.st_size, status.st_mtime_ns)))


@functools.lru_cache(8)
def _read_shapes(path: str, where: str, _: tuple[int, int] | None) -> tuple[tuple[str, Shape], ...]:
    """Return the shapes in the file at `path`, kept while its size and time stay."""
    return tuple((name, tuple(value.shape)) for name, value in read_weights(Path(path), where).items())
