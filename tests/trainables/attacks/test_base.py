"""What attacks share: chunks that shrink where memory ends, noise of one's own, networks that fit."""

import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.attacks.base import check_fit, in_chunks, render, rows_at_once, to_pixels
from trainables.errors import ConfigError, TrialError
from trainables.priors.base import PriorNetworks
from trainables.runtime.run import Run


def test_chunks_cover_every_row_once():
    assert in_chunks(7, 3, lambda first, stop: (first, stop)) == [(0, 3), (3, 6), (6, 7)]
    assert in_chunks(2, 100, lambda first, stop: (first, stop)) == [(0, 2)]
    assert in_chunks(0, 3, lambda first, stop: (first, stop)) == []


@pytest.mark.parametrize("room", [1, 2, 3, 5, 9])
def test_a_chunk_that_does_not_fit_is_halved_until_it_does(room):
    tried = []

    def work(first, stop):
        tried.append(stop - first)
        if stop - first > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(range(first, stop))

    done = in_chunks(9, 9, work)
    assert [row for rows in done for row in rows] == list(range(9))
    assert tried == sorted(tried, reverse=True)  # what did not fit is not tried again


def test_other_errors_are_not_taken_for_memory():
    calls = []

    def work(first, stop):
        calls.append(first)
        raise TrialError("not finite")

    with pytest.raises(TrialError, match="not finite"):
        in_chunks(8, 4, work)
    assert calls == [0]


def test_one_image_that_does_not_fit_is_a_trial_error():
    def work(first, stop):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TrialError, match="not even one image"):
        in_chunks(4, 4, work)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_images_of_latents_of_any_shape_in_8_bits(batch_size):
    latents, sizes = torch.arange(6.0).reshape(2, 3, 1) / 5, []

    def images(rows):
        assert not torch.is_grad_enabled()
        sizes.append(len(rows))
        return rows[:, :, None, None].expand(-1, 3, 1, 1)

    pixels = render(images, latents, Run(batch_size=batch_size))
    assert pixels.dtype == torch.uint8 and pixels.shape == (2, 3, 3, 1, 1)
    assert pixels[:, :, 0, 0, 0].tolist() == [[0, 51, 102], [153, 204, 255]]
    assert max(sizes) == min(batch_size, 6)


def test_a_gpu_takes_more_at_once():
    assert 0 < rows_at_once("cpu") < rows_at_once("cuda")


class Blank(nn.Module):
    """A generator of images of one shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(z), *self.shape)


def pair(*shape: int) -> tuple[Classifier, PriorNetworks]:
    target = Classifier({"flat": nn.Flatten()}, nn.Identity(), nn.Linear(48, 5))
    return target.eval(), PriorNetworks(Blank(*shape), nn.Identity(), 6)


@pytest.mark.parametrize("shape", [(1, 4, 4), (48,)])
def test_a_prior_of_no_colour_images_is_refused(shape):
    with pytest.raises(ConfigError, match=r"expects a prior of images \(N, 3, S, S\)"):
        check_fit(*pair(*shape), torch.tensor([0]), "cpu")


class Levels(nn.Module):
    """A generator of one image, whose pixels go from `low` to `high`."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.register_buffer("levels", torch.linspace(low, high, 48).reshape(1, 3, 4, 4))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.levels.expand(len(z), -1, -1, -1)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 255.0), (0.5, 1.1)])
def test_a_prior_of_another_range_is_refused(low, high):
    target, _ = pair(3, 4, 4)
    check_fit(target, PriorNetworks(Levels(0.0, 1.0), nn.Identity(), 6), torch.tensor([0]), "cpu")
    with pytest.raises(ConfigError, match=rf"images in \[0, 1\], got values from {low:g} to {high:g}"):
        check_fit(target, PriorNetworks(Levels(low, high), nn.Identity(), 6), torch.tensor([0]), "cpu")


def test_a_prior_of_another_resolution_is_refused():
    with pytest.raises(ConfigError, match=r"images the target takes; got 8 x 8 pixels and: .*one image size"):
        check_fit(*pair(3, 8, 8), torch.tensor([0]), "cpu")


def test_a_prior_of_another_latent_size_is_refused():
    target, _ = pair(3, 4, 4)
    generator = nn.Sequential(nn.Linear(6, 48), nn.Sigmoid(), nn.Unflatten(1, (3, 4, 4)))
    check_fit(target, PriorNetworks(generator, nn.Identity(), 6), torch.tensor([0]), "cpu")
    with pytest.raises(ConfigError, match=r"generator takes latents of 7 numbers; got: .*latent size"):
        check_fit(target, PriorNetworks(generator, nn.Identity(), 7), torch.tensor([0]), "cpu")


def test_a_full_memory_is_no_misfit():
    class Full(nn.Module):
        def forward(self, z):
            raise torch.OutOfMemoryError("CUDA out of memory")

    target, _ = pair(3, 4, 4)
    with pytest.raises(torch.OutOfMemoryError):
        check_fit(target, PriorNetworks(Full(), nn.Identity(), 6), torch.tensor([0]), "cpu")


@pytest.mark.parametrize(("identities", "fits"), [([0, 4], True), ([5], False), ([-1], False), ([], False)])
def test_identities_are_classes_of_the_target(identities, fits):
    labels = torch.tensor(identities, dtype=torch.int64)
    if fits:
        check_fit(*pair(3, 4, 4), labels, "cpu")
        return
    with pytest.raises(ConfigError, match="identities from 0 to 4"):
        check_fit(*pair(3, 4, 4), labels, "cpu")


def test_pixels_are_rounded_and_stay_in_range():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_pixels(levels.float() / 255), levels)  # 8 bits survive the way there and back
    assert to_pixels(torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.1])).tolist() == [0, 0, 128, 255, 255]
