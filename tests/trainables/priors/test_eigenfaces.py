"""Eigenfaces against an exact decomposition, whitened latents, realism, bad input."""

import dataclasses

import pytest
import torch
from torch import Tensor

from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.priors.eigenfaces import ROWS, EigenfacesPrior, principal_axes
from trainables.priors.fit import held_out
from trainables.runtime.run import Run

SIZE = 8


def pictures(count: int, seed: int = 0) -> Images:
    """Images of twelve factors of falling size around grey, far from black and white."""
    g = torch.Generator().manual_seed(seed)
    factors = torch.randn(12, 3 * SIZE**2, generator=torch.Generator().manual_seed(7))
    weights = torch.randn(count, 12, generator=g) * 8 * 0.7 ** torch.arange(12)
    pixels = (128 + weights @ factors).round().clamp(0, 255).to(torch.uint8).reshape(count, 3, SIZE, SIZE)
    return Images(
        pixels=pixels,
        labels=torch.zeros(count, dtype=torch.int64),
        names=("all",),
        files=tuple(map(str, range(count))),
    )


def exact(pixels: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Return the mean and the axes of an exact decomposition in float64, largest number positive."""
    rows = pixels.flatten(1).double() / 255
    mean = rows.mean(0)
    _, values, directions = torch.linalg.svd(rows - mean, full_matrices=False)
    axes = directions[:components] * values[:components, None] / len(rows) ** 0.5
    return mean, axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()


@pytest.mark.parametrize("count", [20, ROWS + 30])
def test_axes_are_those_of_an_exact_decomposition(count):
    pixels = pictures(count).pixels
    mean, axes = principal_axes(pixels, 6, run=Run(seed=0))
    true_mean, true_axes = exact(pixels, 6)
    torch.testing.assert_close(mean.double(), true_mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(axes.double(), true_axes, atol=2e-5, rtol=1e-3)


def test_latents_are_white_under_the_public_images():
    public = pictures(400)
    networks = EigenfacesPrior(components=6).train(public, run=Run(seed=0))
    fitted = torch.ones(400, dtype=torch.bool)
    fitted[held_out(400, Run(seed=0))] = False
    latents = networks.generator.encode(public.pixels[fitted].float() / 255)
    torch.testing.assert_close(latents.mean(0), torch.zeros(6), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents.T @ latents / len(latents), torch.eye(6), atol=1e-2, rtol=0)


def test_the_images_of_latents_are_their_linear_combinations_within_bounds():
    public = pictures(60)
    networks = EigenfacesPrior(components=4).train(public, run=Run(seed=0))
    fitted = [n for n in range(60) if n not in held_out(60, Run(seed=0)).tolist()]
    mean, axes = exact(public.pixels[fitted], 4)
    latents = torch.randn(5, 4) * torch.tensor([1.0, 1, 1, 1, 1000])[:, None]
    images = networks.generator(latents)
    expected = (mean + latents.double() @ axes).clamp(0, 1).reshape(5, 3, SIZE, SIZE)
    torch.testing.assert_close(images[:4].double(), expected[:4], atol=1e-3, rtol=0)
    assert images[4].min() == 0 and images[4].max() == 1
    shown = latents[:4] * 0.5  # small enough that no pixel is clamped
    torch.testing.assert_close(
        networks.generator.encode(networks.generator(shown)), shown, atol=1e-3, rtol=1e-3
    )


def test_realism_is_the_gaussian_of_the_latent_by_projection():
    public = pictures(60)
    networks = EigenfacesPrior(components=4).train(public, run=Run(seed=0))
    images = torch.rand(3, 3, SIZE, SIZE)
    fitted = [n for n in range(60) if n not in held_out(60, Run(seed=0)).tolist()]
    mean, axes = exact(public.pixels[fitted], 4)
    latents = (images.flatten(1).double() - mean) @ torch.linalg.pinv(axes)
    expected = -0.5 * latents.square().sum(1)
    torch.testing.assert_close(networks.discriminator(images).double(), expected, atol=1e-2, rtol=1e-3)


def test_held_out_images_do_not_enter():
    public, run = pictures(40), Run(seed=3)
    changed = public.pixels.clone()
    changed[held_out(40, run)] = 0
    other = dataclasses.replace(public, pixels=changed)
    first, second = (EigenfacesPrior(components=4).train(images, run=run) for images in (public, other))
    assert torch.equal(first.generator.axes, second.generator.axes)
    assert torch.equal(first.generator.mean, second.generator.mean)


def test_held_out_images_are_left_out_without_a_copy_of_the_others():
    """The set may lie in a mapped file that is larger than memory: only `ROWS` images are taken at once."""

    class Mapped(Tensor):
        most = 0

        def __getitem__(self, index):
            taken = self.as_subclass(Tensor)[index]
            if not isinstance(index, int):
                Mapped.most = max(Mapped.most, len(taken))
            return taken

    public, run = pictures(2 * ROWS + 30), Run(seed=1)
    fitted = torch.ones(len(public), dtype=torch.bool)
    fitted[held_out(len(public), run)] = False
    mean, axes = principal_axes(public.pixels[fitted], 6, run=run)
    mapped = dataclasses.replace(public, pixels=public.pixels.as_subclass(Mapped))
    networks = EigenfacesPrior(components=6).train(mapped, run=run)
    assert torch.equal(networks.generator.mean, mean) and torch.equal(networks.generator.axes, axes)
    assert 0 < Mapped.most <= ROWS


def test_images_that_span_less_than_the_components_give_axes_of_no_length():
    public = pictures(40)
    flat = dataclasses.replace(public, pixels=public.pixels[:1].expand(40, -1, -1, -1).clone())
    networks = EigenfacesPrior(components=4).train(flat, run=Run(seed=0))
    assert networks.generator.axes.abs().max() < 1e-4
    assert torch.isfinite(networks.generator.encode(torch.rand(2, 3, SIZE, SIZE))).all()


@pytest.mark.parametrize(("components", "images", "text"), [(35, 40, "at most 34"), (200, 40, "at most 192")])
def test_too_many_components_are_named_with_the_limit(components, images, text):
    with pytest.raises(ConfigError, match=text):
        EigenfacesPrior(components=components).train(pictures(images), run=Run(seed=0))


def test_a_component_is_the_least():
    with pytest.raises(ValueError, match="components must be at least 1; got 0"):
        EigenfacesPrior(components=0)
